// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Voucher} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Papers} from "./Papers.sol";
import {Grant, Pen} from "./GhostMoney.sol";
import {Reading} from "./GhostSessions.sol";

/// @title Dice, and signatures right and wrong
/// @dev forge's `sign` costs as much time as all the rest of a call. Whoever doesn't need their key to stay secret can
/// sign with the nonce 1: R is the curve's generator G, and s = z + Gx · key.
abstract contract Pens is Papers {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    uint256 private constant GENERATOR_X = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798;

    bytes32 internal immutable SEPARATOR;
    bytes32 private immutable FOREIGN_SEPARATOR; // of the same escrow on another chain
    bytes32 private immutable DOLLAR_SEPARATOR;
    bytes32 private immutable VOUCHER_TYPEHASH = _type(VOUCHER_TYPE);
    bytes32 private immutable CLOSING_TYPEHASH = _type(CLOSING_TYPE);
    bytes32 private immutable LEAVING_TYPEHASH = _type(LEAVING_TYPE);
    bytes32 private immutable REVOCATION_TYPEHASH = _type(REVOCATION_TYPE);
    bytes32 private immutable TOP_UP_TYPEHASH = _type(TOP_UP_TYPE);
    bytes32 private immutable RATING_TYPEHASH = _type(RATING_TYPE);
    bytes32 private immutable ANSWER_TYPEHASH = _type(ANSWER_TYPE);
    bytes32 private immutable WITHDRAWAL_TYPEHASH = _type(WITHDRAWAL_TYPE);
    bytes32 private immutable RECEIVE_TYPEHASH = _type(RECEIVE_TYPE);
    bytes32 private immutable OPENING_TYPEHASH =
        keccak256(abi.encodePacked("Opening(Terms terms,uint80 deposit)", TARIFF_TYPE, TERMS_TYPE));

    /// @dev What somebody is asked to sign, and what they might have signed instead.
    struct Message {
        address party;
        bytes32 separator;
        bytes32 hash;
        bytes32 other; // hash of another message about the same thing
    }

    constructor() {
        SEPARATOR = _separatorOf("Honorarium", block.chainid, address(escrow));
        FOREIGN_SEPARATOR = _separatorOf("Honorarium", block.chainid + 1, address(escrow));
        DOLLAR_SEPARATOR = _separatorOf("Test USD", block.chainid, DOLLAR);
    }

    // ------------------------------------------------------------------ dice

    /// @dev 0 to sides - 1, for each purpose anew.
    function _roll(uint256 seed, bytes32 purpose, uint256 sides) internal pure returns (uint256 face) {
        assembly ("memory-safe") {
            mstore(0, seed)
            mstore(32, purpose)
            face := keccak256(0, 64)
        }
        return face % sides;
    }

    function _chance(uint256 seed, bytes32 purpose, uint256 percent) internal pure returns (bool) {
        return _roll(seed, purpose, 100) < percent;
    }

    function _oneOf(uint256 seed, bytes32 purpose, address[] storage list) internal view returns (address) {
        return list[_roll(seed, purpose, list.length)];
    }

    // ------------------------------------------------------------------ messages

    function _opening(bytes32 id, uint80 deposit) internal view returns (Message memory) {
        bytes32 hash = keccak256(abi.encode(OPENING_TYPEHASH, _termsHashOf(id), deposit));
        return _message(_payerOf(id), hash, _termsHashOf(id));
    }

    function _terms(address party, bytes32 id) internal view returns (Message memory) {
        return _message(party, _termsHashOf(id), keccak256(abi.encode(LEAVING_TYPEHASH, id)));
    }

    function _closing(bytes32 id, uint32 units, bytes32 journal, uint40 deadline)
        internal
        view
        returns (Message memory)
    {
        bytes32 other = keccak256(abi.encode(CLOSING_TYPEHASH, id, uint256(units) + 1, journal, deadline));
        return _message(_advisorOf(id), keccak256(abi.encode(CLOSING_TYPEHASH, id, units, journal, deadline)), other);
    }

    function _leaving(address party, bytes32 id) internal view returns (Message memory) {
        bytes32 other = keccak256(abi.encode(REVOCATION_TYPEHASH, id));
        return _message(party, keccak256(abi.encode(LEAVING_TYPEHASH, id)), other);
    }

    function _revocation(address party, bytes32 id) internal view returns (Message memory) {
        bytes32 other = keccak256(abi.encode(LEAVING_TYPEHASH, id));
        return _message(party, keccak256(abi.encode(REVOCATION_TYPEHASH, id)), other);
    }

    function _topUp(bytes32 id, uint80 newDeposit) internal view returns (Message memory) {
        bytes32 other = keccak256(abi.encode(TOP_UP_TYPEHASH, id, newDeposit ^ 1));
        return _message(_payerOf(id), keccak256(abi.encode(TOP_UP_TYPEHASH, id, newDeposit)), other);
    }

    function _rating(bytes32 id, uint8 score, bytes32 comment) internal view returns (Message memory) {
        bytes32 other = keccak256(abi.encode(RATING_TYPEHASH, id, uint256(score) + 1, comment));
        return _message(_clientOf(id), keccak256(abi.encode(RATING_TYPEHASH, id, score, comment)), other);
    }

    function _answer(bytes32 id, bytes32 hash) internal view returns (Message memory) {
        bytes32 other = keccak256(abi.encode(LEAVING_TYPEHASH, id));
        return _message(_advisorOf(id), keccak256(abi.encode(ANSWER_TYPEHASH, id, hash)), other);
    }

    function _withdrawal(address account, address token, uint256 amount, address to, uint256 nonce, uint256 deadline)
        internal
        view
        returns (Message memory)
    {
        bytes32 hash = keccak256(abi.encode(WITHDRAWAL_TYPEHASH, account, token, amount, to, nonce, deadline));
        bytes32 other = keccak256(abi.encode(WITHDRAWAL_TYPEHASH, account, token, amount + 1, to, nonce, deadline));
        return _message(account, hash, other);
    }

    function _message(address party, bytes32 hash, bytes32 other) private view returns (Message memory) {
        return Message({party: party, separator: SEPARATOR, hash: hash, other: other});
    }

    // ------------------------------------------------------------------ signatures of parties

    /// @dev The party's signature; now and then a wrong one, or none (ESC-14).
    function _sign(uint256 seed, Message memory m) internal view returns (bytes memory signature, Pen memory pen) {
        uint256 key = _keyOf[m.party] == 0 ? STRANGER_KEY : _keyOf[m.party];
        uint256 fault = _roll(seed, "fault", 100);
        if (fault == 0) return ("", pen);
        pen.given = true;
        if (fault == 1) return (new bytes(65), pen);
        if (fault == 2) return (new bytes(33), pen);
        bytes32 digest = _typed(m.separator, m.hash);
        bytes32 signed = digest;
        if (fault == 3) signed = _typed(FOREIGN_SEPARATOR, m.hash);
        if (fault == 4) signed = _typed(m.separator, m.other);
        if (fault == 5) key = STRANGER_KEY;
        (uint8 v, bytes32 r, bytes32 s) = _ink(key, signed);
        if (fault == 6) {
            (v, s) = (55 - v, bytes32(ORDER - uint256(s)));
            pen.high = s;
        }
        if (signed == digest) pen.by = key == STRANGER_KEY ? STRANGER : _signerFor(m.party);
        else pen.by = ecrecover(digest, v, r, s);
        bool compact = fault > 6 && fault % 4 == 0 && _ownerOf[m.party] == address(0);
        signature = compact
            ? abi.encodePacked(r, s | bytes32(uint256(v - 27) << 255))  // EIP-2098
            : abi.encodePacked(r, s, v);
    }

    function _signerFor(address party) private view returns (address) {
        address owner = _ownerOf[party];
        return owner == address(0) ? party : owner;
    }

    /// @dev Mostly nothing, if the party calls.
    function _signOrCall(uint256 seed, address by, Message memory m)
        internal
        view
        returns (bytes memory signature, Pen memory pen)
    {
        if (by != m.party || _chance(seed, "signs and calls", 20)) return _sign(seed, m);
    }

    /// @dev EIP-3009: valid around now, now and then not.
    function _authorize(uint256 seed, address token, address from, uint256 amount, bytes32 nonce)
        internal
        view
        returns (Authorization memory a, Grant memory g)
    {
        uint256 span = _roll(seed, "span", 50);
        a.validAfter = span == 0 ? _now : _now - 1;
        a.validBefore = span == 1 ? _now : _now + 1 + _roll(seed, "before", 1 hours);
        Message memory m = Message({
            party: from,
            separator: token == DOLLAR ? DOLLAR_SEPARATOR : SEPARATOR,
            hash: _authorization(from, amount, nonce, a),
            other: _authorization(from, amount + 1, nonce, a)
        });
        (g.validAfter, g.validBefore) = (a.validAfter, a.validBefore);
        (a.signature, g.pen) = _sign(seed, m);
    }

    function _authorization(address from, uint256 amount, bytes32 nonce, Authorization memory a)
        private
        view
        returns (bytes32)
    {
        return
            keccak256(abi.encode(RECEIVE_TYPEHASH, from, address(escrow), amount, a.validAfter, a.validBefore, nonce));
    }

    // ------------------------------------------------------------------ vouchers

    /// @dev A voucher for so many units; now and then one that its meter key did not sign (ESC-3).
    function _voucher(uint256 seed, bytes32 id, uint32 units)
        internal
        view
        returns (Voucher memory voucher, Reading memory r)
    {
        bytes32 journal = bytes32(_roll(seed, "journal", type(uint256).max));
        (r.id, r.units, r.journal, r.pen.given) = (id, units, journal, true);
        uint256 fault = _roll(seed, "voucher", 60);
        uint256 key = _meterOf(id) == METER ? METER_KEY : OTHER_METER_KEY;
        bytes32 digest = _voucherDigest(SEPARATOR, id, units, journal);
        bytes32 signed = digest;
        if (fault == 0) key = STRANGER_KEY;
        if (fault == 1) signed = _voucherDigest(FOREIGN_SEPARATOR, id, units, journal);
        if (fault == 2) signed = _voucherDigest(SEPARATOR, id, units ^ 1, journal);
        if (fault == 3) signed = _voucherDigest(SEPARATOR, ~id, units, journal);
        if (fault == 4) signed = _voucherDigest(SEPARATOR, id, units, ~journal);
        (uint8 v, bytes32 rr, bytes32 s) = _ink(key, signed);
        if (fault == 5) {
            (v, s) = (27, bytes32(uint256(1 << 255) - 1)); // the highest that fits beside the parity
            r.pen.high = s;
        }
        r.pen.by = fault == 0 ? STRANGER : _meterOf(id);
        if (fault > 0 && fault <= 5) r.pen.by = ecrecover(digest, v, rr, s);
        bytes32 vs = s | bytes32(uint256(v - 27) << 255);
        voucher = Voucher({units: units, journal: journal, r: rr, vs: vs});
    }

    function _rightVoucher(bytes32 id, uint32 units) internal view returns (Voucher memory voucher, Reading memory r) {
        (r.id, r.units, r.pen.given, r.pen.by) = (id, units, true, _meterOf(id));
        uint256 key = _meterOf(id) == METER ? METER_KEY : OTHER_METER_KEY;
        (uint8 v, bytes32 rr, bytes32 s) = _ink(key, _voucherDigest(SEPARATOR, id, units, 0));
        voucher = Voucher({units: units, journal: 0, r: rr, vs: s | bytes32(uint256(v - 27) << 255)});
    }

    function _voucherDigest(bytes32 separator, bytes32 id, uint32 units, bytes32 journal)
        private
        view
        returns (bytes32)
    {
        return _typed(separator, keccak256(abi.encode(VOUCHER_TYPEHASH, id, units, journal)));
    }

    function _ink(uint256 key, bytes32 digest) private pure returns (uint8 v, bytes32 r, bytes32 s) {
        uint256 whole = addmod(uint256(digest), mulmod(GENERATOR_X, key, ORDER), ORDER);
        if (whole > ORDER / 2) return (28, bytes32(GENERATOR_X), bytes32(ORDER - whole));
        return (27, bytes32(GENERATOR_X), bytes32(whole));
    }
}
