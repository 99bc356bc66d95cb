// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {TestUSD} from "../../contracts/TestUSD.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {
    Closing,
    ISessionEscrow,
    Opening,
    Session,
    Settlement,
    Status,
    Voucher
} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Slot} from "../../contracts/libraries/Slot.sol";
import {PackedTerms} from "../../contracts/libraries/Terms.sol";
import {Authorization} from "../../contracts/libraries/Tokens.sol";

/// @dev The few of forge's cheat codes that these tests need.
interface Cheats {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function addr(uint256 key) external pure returns (address);
    function assume(bool condition) external pure;
    function chainId(uint256 id) external;
    function deal(address account, uint256 amount) external;
    function envOr(string calldata name, string calldata otherwise) external view returns (string memory);
    function etch(address account, bytes calldata code) external;
    function expectEmit(address emitter) external;
    function expectRevert(bytes calldata reason) external;
    function getCode(string calldata artifact) external view returns (bytes memory creation);
    function getRecordedLogs() external returns (Log[] memory);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function prank(address sender) external;
    function readFile(string calldata path) external view returns (string memory);
    function recordLogs() external;
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function warp(uint256 time) external;
}

/// @dev The readable tariff and terms, as wallets show them.
struct Tariff {
    uint80 connectFee;
    uint80 unitPrice;
    uint32 unitSeconds;
    uint32 includedUnits;
    uint32 stepUnits;
    uint80 stepPrice;
    uint32 maxUnits;
}

struct Terms {
    address client;
    address payer;
    address advisor;
    address meterKey;
    address token;
    Tariff tariff;
    uint16 feeBps;
    address feeRecipient;
    uint40 openBefore;
    uint24 closeGrace;
    bytes32 context;
    uint96 salt;
}

/// @dev Comparisons that say both values when they differ.
abstract contract Asserts {
    error Differs(string what, uint256 found, uint256 expected);
    error DiffersInBytes(string what, bytes found, bytes expected);

    function _equal(uint256 found, uint256 expected, string memory what) internal pure {
        if (found != expected) revert Differs(what, found, expected);
    }

    function _equal(address found, address expected, string memory what) internal pure {
        if (found != expected) revert DiffersInBytes(what, abi.encode(found), abi.encode(expected));
    }

    function _equal(bytes32 found, bytes32 expected, string memory what) internal pure {
        if (found != expected) revert DiffersInBytes(what, abi.encode(found), abi.encode(expected));
    }

    function _equal(bytes memory found, bytes memory expected, string memory what) internal pure {
        if (keccak256(found) != keccak256(expected)) revert DiffersInBytes(what, found, expected);
    }
}

/// @dev EIP-712 written down anew: plain abi.encode of the readable structs and the type strings as people read them.
abstract contract Hashing {
    string internal constant TARIFF_TYPE =
        "Tariff(uint80 connectFee,uint80 unitPrice,uint32 unitSeconds,uint32 includedUnits,uint32 stepUnits,uint80 stepPrice,uint32 maxUnits)";
    string internal constant TERMS_TYPE =
        "Terms(address client,address payer,address advisor,address meterKey,address token,Tariff tariff,uint16 feeBps,address feeRecipient,uint40 openBefore,uint24 closeGrace,bytes32 context,uint96 salt)";
    string internal constant DOMAIN_TYPE =
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
    string internal constant VOUCHER_TYPE = "Voucher(bytes32 sessionId,uint32 units,bytes32 journal)";
    string internal constant CLOSING_TYPE = "Closing(bytes32 sessionId,uint32 units,bytes32 journal,uint40 deadline)";
    string internal constant LEAVING_TYPE = "Leaving(bytes32 sessionId)";
    string internal constant REVOCATION_TYPE = "Revocation(bytes32 sessionId)";
    string internal constant TOP_UP_TYPE = "TopUp(bytes32 sessionId,uint80 deposit)";
    string internal constant RATING_TYPE = "Rating(bytes32 sessionId,uint8 score,bytes32 commentHash)";
    string internal constant ANSWER_TYPE = "Answer(bytes32 sessionId,bytes32 answerHash)";
    string internal constant WITHDRAWAL_TYPE =
        "Withdrawal(address account,address token,uint256 amount,address to,uint256 nonce,uint256 deadline)";
    string internal constant RECEIVE_TYPE =
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";

    function _type(string memory text) internal pure returns (bytes32) {
        return keccak256(bytes(text));
    }

    function _separatorOf(string memory name, uint256 chain, address verifier) internal pure returns (bytes32) {
        return keccak256(abi.encode(_type(DOMAIN_TYPE), _type(name), _type("1"), chain, verifier));
    }

    function _typed(bytes32 separator, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", separator, structHash));
    }

    function _hashOf(Terms memory t) internal pure returns (bytes32) {
        bytes32 tariff = keccak256(abi.encode(_type(TARIFF_TYPE), t.tariff));
        bytes memory start = abi.encode(
            keccak256(abi.encodePacked(TERMS_TYPE, TARIFF_TYPE)), t.client, t.payer, t.advisor, t.meterKey, t.token
        );
        bytes memory end =
            abi.encode(tariff, t.feeBps, t.feeRecipient, t.openBefore, t.closeGrace, t.context, uint256(t.salt));
        return keccak256(bytes.concat(start, end));
    }

    function _hashOfOpening(Terms memory t, uint80 amount) internal pure returns (bytes32) {
        bytes32 typeHash = keccak256(abi.encodePacked("Opening(Terms terms,uint80 deposit)", TARIFF_TYPE, TERMS_TYPE));
        return keccak256(abi.encode(typeHash, _hashOf(t), amount));
    }

    function _pack(Terms memory t) internal pure returns (PackedTerms memory p) {
        Tariff memory a = t.tariff;
        p.client = bytes32(abi.encodePacked(t.client, a.connectFee, t.feeBps));
        p.payer = bytes32(abi.encodePacked(t.payer == t.client ? address(0) : t.payer, a.unitPrice, uint16(0)));
        p.advisor = bytes32(abi.encodePacked(t.advisor, a.stepPrice, uint16(0)));
        p.meter = bytes32(abi.encodePacked(t.meterKey, a.unitSeconds, a.includedUnits, a.stepUnits));
        p.token = bytes32(abi.encodePacked(t.token, a.maxUnits, t.openBefore, t.closeGrace));
        p.share = bytes32(abi.encodePacked(t.feeRecipient, t.salt));
        p.context = t.context;
    }
}

/// @dev An escrow, a token, people with keys, and one helper for each thing that they do or sign.
abstract contract Base is Asserts, Hashing {
    Cheats internal constant CHEATS = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    uint256 internal constant ADVISOR_KEY = 0xA1;
    uint256 internal constant CLIENT_KEY = 0xC1;
    uint256 internal constant SPONSOR_KEY = 0x51;
    uint256 internal constant METER_KEY = 0x3E;
    uint256 internal constant STRANGER_KEY = 0x57;

    address internal constant COIN = address(0);
    address internal constant RELAYER = address(0x4E1A7E4);
    address internal constant PLATFORM = address(0x91A7F0);
    uint80 internal constant DEPOSIT = 30e6; // 30 tUSD

    address internal immutable ADVISOR = CHEATS.addr(ADVISOR_KEY);
    address internal immutable CLIENT = CHEATS.addr(CLIENT_KEY);
    address internal immutable SPONSOR = CHEATS.addr(SPONSOR_KEY);
    address internal immutable STRANGER = CHEATS.addr(STRANGER_KEY);

    ISessionEscrow internal escrow;
    TestUSD internal token;
    uint256 internal time = 1_700_000_000; // unix seconds; via-IR may read block.timestamp once for a whole function
    mapping(address account => uint256) internal keys;

    function setUp() public virtual {
        CHEATS.warp(time);
        escrow = ISessionEscrow(_shipped("SessionEscrow"));
        token = TestUSD(_shipped("TestUSD"));
        keys[ADVISOR] = ADVISOR_KEY;
        keys[CLIENT] = CLIENT_KEY;
        keys[SPONSOR] = SPONSOR_KEY;
        keys[STRANGER] = STRANGER_KEY;
        _fund(CLIENT);
        _fund(SPONSOR);
    }

    /// @dev Deploys the bytecode that ships.
    function _shipped(string memory name) internal returns (address deployed) {
        bytes memory code = _creation(name);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 32), mload(code))
        }
        require(deployed != address(0), name);
    }

    /// @dev A mutation run puts other artifacts in the place of those that ship; for coverage, which sees only what forge
    /// itself compiled, the place is "source".
    function _creation(string memory name) internal view returns (bytes memory) {
        string memory folder = CHEATS.envOr("HONORARIUM_ARTIFACTS", string("src/honorarium/artifacts"));
        if (keccak256(bytes(folder)) == keccak256("source")) return CHEATS.getCode(string.concat(name, ".sol:", name));
        return CHEATS.parseJsonBytes(CHEATS.readFile(string.concat(folder, "/", name, ".json")), ".bytecode");
    }

    /// @dev Plenty of coin and tUSD in the wallet, and an allowance for the escrow.
    function _fund(address account) internal {
        CHEATS.deal(account, 1_000 ether);
        token.mint(account, 1_000_000e6);
        CHEATS.prank(account);
        token.approve(address(escrow), type(uint256).max);
    }

    /// @dev Plenty in the balance.
    function _stock(address account) internal {
        token.mint(address(this), 10_000e6);
        token.approve(address(escrow), type(uint256).max);
        escrow.deposit(address(token), account, 10_000e6);
    }

    function _later(uint256 increment) internal {
        time += increment;
        CHEATS.warp(time);
    }

    function _at(uint256 when) internal {
        time = when;
        CHEATS.warp(when);
    }

    // ------------------------------------------------------------------ terms

    /// @dev 0.50 to connect, 1.00 per started minute, a tenth to the platform; the client pays.
    function _terms() internal view returns (Terms memory t) {
        t.client = CLIENT;
        t.payer = CLIENT;
        t.advisor = ADVISOR;
        t.meterKey = CHEATS.addr(METER_KEY);
        t.token = address(token);
        t.tariff.connectFee = 500_000;
        t.tariff.unitPrice = 1e6;
        t.tariff.unitSeconds = 60;
        t.feeBps = 1_000;
        t.feeRecipient = PLATFORM;
        t.openBefore = uint40(time + 1 days);
        t.closeGrace = 1 hours;
        t.context = keccak256("context");
        t.salt = 7;
    }

    /// @dev The same, paid by a sponsor.
    function _sponsored() internal view returns (Terms memory t) {
        t = _terms();
        t.payer = SPONSOR;
    }

    /// @dev The same, by interactions: units need no time.
    function _interactions() internal view returns (Terms memory t) {
        t = _terms();
        t.tariff.unitSeconds = 0;
    }

    function _idOf(Terms memory t) internal view returns (bytes32) {
        return _digest(_hashOf(t));
    }

    function _session(Terms memory t) internal view returns (Session memory) {
        return escrow.session(_idOf(t));
    }

    // ------------------------------------------------------------------ signatures

    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return _typed(_separatorOf("Honorarium", block.chainid, address(escrow)), structHash);
    }

    /// @dev 65 bytes (r, s, v).
    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = CHEATS.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev 64 bytes (EIP-2098).
    function _sign64(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = CHEATS.sign(key, digest);
        return abi.encodePacked(r, s | bytes32(uint256(v - 27) << 255));
    }

    /// @dev The mirror image, which plain ecrecover accepts.
    function _signHigh(uint256 key, bytes32 digest) internal pure returns (bytes memory signature, bytes32 highS) {
        (uint8 v, bytes32 r, bytes32 s) = CHEATS.sign(key, digest);
        highS = bytes32(ORDER - uint256(s));
        return (abi.encodePacked(r, highS, v == 27 ? uint8(28) : uint8(27)), highS);
    }

    /// @dev Empty for accounts without a key here.
    function _signBy(address account, bytes32 structHash) internal view returns (bytes memory) {
        return keys[account] == 0 ? bytes("") : _sign(keys[account], _digest(structHash));
    }

    function _leaving(Terms memory t) internal view returns (bytes32) {
        return keccak256(abi.encode(_type(LEAVING_TYPE), _idOf(t)));
    }

    function _revocation(Terms memory t) internal view returns (bytes32) {
        return keccak256(abi.encode(_type(REVOCATION_TYPE), _idOf(t)));
    }

    function _topUpHash(Terms memory t, uint80 newDeposit) internal view returns (bytes32) {
        return keccak256(abi.encode(_type(TOP_UP_TYPE), _idOf(t), newDeposit));
    }

    function _ratingHash(Terms memory t, uint8 score, bytes32 comment) internal view returns (bytes32) {
        return keccak256(abi.encode(_type(RATING_TYPE), _idOf(t), score, comment));
    }

    function _answerHash(Terms memory t, bytes32 hash) internal view returns (bytes32) {
        return keccak256(abi.encode(_type(ANSWER_TYPE), _idOf(t), hash));
    }

    function _closingHash(Terms memory t, uint32 units, uint40 deadline) internal view returns (bytes32) {
        return _closingHash(t, units, units == 0 ? bytes32(0) : _journal(units), deadline);
    }

    function _closingHash(Terms memory t, uint32 units, bytes32 journal, uint40 deadline)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(_type(CLOSING_TYPE), _idOf(t), units, journal, deadline));
    }

    function _voucherHash(Terms memory t, uint32 units, bytes32 journal) internal view returns (bytes32) {
        return keccak256(abi.encode(_type(VOUCHER_TYPE), _idOf(t), units, journal));
    }

    function _journal(uint32 units) internal pure returns (bytes32) {
        return keccak256(abi.encode("journal", units));
    }

    function _voucher(Terms memory t, uint32 units) internal view returns (Voucher memory) {
        return _voucherBy(METER_KEY, t, units);
    }

    function _voucherBy(uint256 key, Terms memory t, uint32 units) internal view returns (Voucher memory v) {
        if (units == 0) return v;
        bytes memory pair = _sign64(key, _digest(_voucherHash(t, units, _journal(units))));
        (bytes32 r, bytes32 vs) = abi.decode(pair, (bytes32, bytes32));
        return Voucher(units, _journal(units), r, vs);
    }

    /// @dev EIP-3009 for tUSD, valid for the next hour.
    function _authorize(uint256 key, address to, uint256 amount, bytes32 nonce)
        internal
        view
        returns (Authorization memory a)
    {
        a.validAfter = time - 1;
        a.validBefore = time + 1 hours;
        a.signature = _sign(key, _receiveDigest(CHEATS.addr(key), to, amount, a, nonce));
    }

    function _receiveDigest(address from, address to, uint256 amount, Authorization memory a, bytes32 nonce)
        internal
        view
        returns (bytes32)
    {
        bytes32 message =
            keccak256(abi.encode(_type(RECEIVE_TYPE), from, to, amount, a.validAfter, a.validBefore, nonce));
        return _typed(_separatorOf("Test USD", block.chainid, address(token)), message);
    }

    // ------------------------------------------------------------------ the rows of batches

    function _opening(Terms memory t, uint80 amount) internal view returns (Opening memory) {
        bytes32 termsHash = _hashOf(t);
        bytes memory consent = t.client == t.payer ? bytes("") : _signBy(t.client, termsHash);
        return
            Opening(
                _pack(t), amount, _signBy(t.advisor, termsHash), consent, _signBy(t.payer, _hashOfOpening(t, amount))
            );
    }

    function _settlement(Terms memory t, uint32 units) internal view returns (Settlement memory) {
        return Settlement(_pack(t), _voucher(t, units));
    }

    function _closing(Terms memory t, uint32 units) internal view returns (Closing memory) {
        uint40 deadline = uint40(time + 1 hours);
        return Closing(_pack(t), _voucher(t, units), deadline, _signBy(t.advisor, _closingHash(t, units, deadline)));
    }

    // ------------------------------------------------------------------ what people do

    /// @dev From the payer's wallet, by the payer.
    function _open(Terms memory t, uint80 amount) internal returns (bytes32 id) {
        bytes32 termsHash = _hashOf(t);
        bytes memory consent = t.client == t.payer ? bytes("") : _signBy(t.client, termsHash);
        bytes memory quote = _signBy(t.advisor, termsHash);
        CHEATS.prank(t.payer);
        return escrow.open{value: t.token == COIN ? amount : 0}(_pack(t), amount, quote, consent);
    }

    /// @dev From the payer's balance, by a relayer.
    function _openFromBalance(Terms memory t, uint80 amount) internal returns (bytes32 id) {
        if (escrow.balanceOf(t.token, t.payer) < amount) _stock(t.payer);
        Opening memory opening = _opening(t, amount);
        CHEATS.prank(RELAYER);
        return escrow.openFromBalance(opening);
    }

    function _settle(Terms memory t, uint32 units) internal {
        Settlement memory s = _settlement(t, units);
        CHEATS.prank(RELAYER);
        escrow.settle(s);
    }

    function _close(Terms memory t, uint32 units) internal {
        Settlement memory s = _settlement(t, units);
        CHEATS.prank(t.advisor);
        escrow.close(s);
    }

    function _leave(Terms memory t) internal {
        CHEATS.prank(t.client);
        escrow.requestClose(_pack(t), t.client, "");
    }

    // ------------------------------------------------------------------ what is expected

    /// @dev The event of a session opened now, its slot written down by its layout in docs/protocol.md.
    function _expectOpened(Terms memory t, uint80 amount, bool fromBalance) internal {
        uint256 slot = uint256(amount) << 176 | time << 56 | (fromBalance ? 3 : 1);
        bytes32 id = _idOf(t);
        _expectEvent();
        emit ISessionEscrow.SessionOpened(id, t.advisor, _pack(t), Slot.wrap(slot));
    }

    function _expectEvent() internal {
        CHEATS.expectEmit(address(escrow));
    }

    /// @dev The single call reverts with `why`, and the batch skips the row for the same reason.
    function _refuses(Terms memory t, Opening memory o, bytes memory why) internal {
        CHEATS.expectRevert(why);
        CHEATS.prank(RELAYER);
        escrow.openFromBalance(o);
        Opening[] memory rows = new Opening[](1);
        rows[0] = o;
        bytes32 id = _idOf(t);
        _expectEvent();
        emit ISessionEscrow.RowSkipped(0, id, why);
        CHEATS.prank(RELAYER);
        escrow.openBatch(rows);
    }

    function _refuses(Terms memory t, Settlement memory s, bytes memory why) internal {
        CHEATS.expectRevert(why);
        CHEATS.prank(RELAYER);
        escrow.settle(s);
        Settlement[] memory rows = new Settlement[](1);
        rows[0] = s;
        bytes32 id = _idOf(t);
        _expectEvent();
        emit ISessionEscrow.RowSkipped(0, id, why);
        CHEATS.prank(RELAYER);
        escrow.settleBatch(rows);
    }

    function _refuses(Terms memory t, Closing memory c, bytes memory why) internal {
        CHEATS.expectRevert(why);
        CHEATS.prank(RELAYER);
        escrow.closeFor(c);
        Closing[] memory rows = new Closing[](1);
        rows[0] = c;
        bytes32 id = _idOf(t);
        _expectEvent();
        emit ISessionEscrow.RowSkipped(0, id, why);
        CHEATS.prank(RELAYER);
        escrow.closeBatch(rows);
    }

    function _missing(address party) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.SignatureMissing.selector, party);
    }

    function _wrong(address expected, address recovered) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.WrongSigner.selector, expected, recovered);
    }

    function _notOpen(Terms memory t) internal view returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.SessionNotOpen.selector, _idOf(t));
    }
}
