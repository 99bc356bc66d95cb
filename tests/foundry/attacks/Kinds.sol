// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Closing, Opening, Settlement} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {PackedTerms} from "../../../contracts/libraries/Terms.sol";
import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Terms} from "../Base.sol";
import {OwnedWallet} from "../mocks/Wallets.sol";
import {Attack} from "./Attack.sol";

/// @dev Every kind of signature that the contracts take; the last four are EIP-3009 authorizations.
enum Kind {
    Quote, // Terms by the advisor
    Consent, // Terms by the client
    Opening,
    Voucher,
    Closing,
    Leaving,
    Revocation,
    TopUp,
    Withdrawal,
    Rating,
    Answer,
    PaysOpening,
    PaysTopUp,
    PaysDeposit,
    PaysTip
}

/// @dev For each kind: a session in which it counts, its digest, and the relayed call that takes it.
abstract contract Kinds is Attack {
    uint256 internal constant KINDS = 15;
    uint80 internal constant RAISED = DEPOSIT + 1;

    address internal client;
    address internal payer;
    address internal advisor;
    uint256 internal begin; // when everything was signed

    // ------------------------------------------------------------------ casts

    /// @dev Three people with a key each, and a meter.
    function _castKeys() internal {
        (client, payer, advisor) = (CLIENT, SPONSOR, ADVISOR);
        _prepare();
    }

    /// @dev One key signs for everybody: for the client and the meter as itself, for payer and advisor as the owner of
    /// their wallets. So nothing is ever refused only because somebody else had to sign.
    function _castOneKey() internal {
        client = CHEATS.addr(METER_KEY);
        payer = address(new OwnedWallet(client));
        advisor = address(new OwnedWallet(client));
        (keys[client], keys[payer], keys[advisor]) = (METER_KEY, METER_KEY, METER_KEY);
        (people[0], people[1], people[2]) = (client, payer, advisor);
        _prepare();
    }

    /// @dev Money for the payer, and a session of its own for each kind, as far as the kind needs it.
    function _prepare() private {
        begin = time;
        token.mint(payer, 10_000e6);
        _stock(payer);
        for (uint256 i = 0; i < KINDS; ++i) {
            Kind kind = Kind(i);
            Terms memory t = _at(kind);
            _watch(t);
            if (_fresh(kind)) continue;
            _openFromBalance(t, DEPOSIT);
            if (kind != Kind.Rating && kind != Kind.Answer) continue;
            escrow.closeFor(_closing(t, 1));
            if (kind == Kind.Answer) escrow.rate(_pack(t), 1, "", _signBy(client, _ratingHash(t, 1, "")));
        }
    }

    /// @dev Whether the kind counts before its session is open.
    function _fresh(Kind kind) internal pure returns (bool) {
        return kind == Kind.Quote || kind == Kind.Consent || kind == Kind.Opening || kind == Kind.Revocation
            || kind == Kind.PaysOpening;
    }

    /// @dev The session of a kind.
    function _at(Kind kind) internal view returns (Terms memory t) {
        t = _interactions();
        (t.client, t.payer, t.advisor) = (client, payer, advisor);
        t.openBefore = uint40(begin + 1 days);
        t.salt = 100 + uint96(kind);
    }

    function _signer(Kind kind) internal view returns (address) {
        if (kind == Kind.Voucher) return CHEATS.addr(METER_KEY);
        if (kind == Kind.Consent || kind == Kind.Leaving || kind == Kind.Rating) return client;
        if (kind == Kind.Quote || kind == Kind.Closing || kind == Kind.Revocation || kind == Kind.Answer) {
            return advisor;
        }
        return payer;
    }

    function _keyOf(Kind kind) internal view returns (uint256) {
        return kind == Kind.Voucher ? METER_KEY : keys[_signer(kind)];
    }

    // ------------------------------------------------------------------ what is signed

    function _signed(Kind kind) internal view returns (bytes memory) {
        return _sign(_keyOf(kind), _digestOf(kind, _at(kind), 0));
    }

    /// @param number what keeps apart messages that are of no session: a withdrawal's nonce, a salt
    function _digestOf(Kind kind, Terms memory t, uint256 number) internal view returns (bytes32) {
        if (kind == Kind.Quote || kind == Kind.Consent) return _idOf(t);
        if (kind == Kind.Opening) return _digest(_hashOfOpening(t, DEPOSIT));
        if (kind == Kind.Voucher) return _digest(_voucherHash(t, 1, _journal(1)));
        if (kind == Kind.Closing) return _digest(_closingHash(t, 1, uint40(begin + 1 hours)));
        if (kind == Kind.Leaving) return _digest(_leaving(t));
        if (kind == Kind.Revocation) return _digest(_revocation(t));
        if (kind == Kind.TopUp) return _digest(_topUpHash(t, RAISED));
        if (kind == Kind.Withdrawal) return _digest(_withdrawal(t, number));
        if (kind == Kind.Rating) return _digest(_ratingHash(t, 5, "comment"));
        if (kind == Kind.Answer) return _digest(_answerHash(t, "answer"));
        return _payment(kind, t, number);
    }

    function _withdrawal(Terms memory t, uint256 nonce) private view returns (bytes32) {
        return keccak256(
            abi.encode(_type(WITHDRAWAL_TYPE), t.payer, address(token), uint256(1), t.payer, nonce, begin + 1 hours)
        );
    }

    function _payment(Kind kind, Terms memory t, uint256 salt) private view returns (bytes32) {
        (address to, uint256 amount, bytes32 nonce) = _paymentOf(kind, t, salt);
        return _receiveDigest(t.payer, to, amount, _window(), nonce);
    }

    /// @dev What an authorization says, beside who pays and when.
    function _paymentOf(Kind kind, Terms memory t, uint256 salt)
        internal
        view
        returns (address to, uint256 amount, bytes32 nonce)
    {
        to = kind == Kind.PaysTip ? address(jar) : address(escrow);
        amount = kind == Kind.PaysOpening ? DEPOSIT : 1;
        nonce = _idOf(t);
        if (kind == Kind.PaysTopUp) nonce = keccak256(abi.encode(nonce, RAISED));
        if (kind == Kind.PaysDeposit) {
            nonce = keccak256(abi.encode(keccak256("Deposit"), t.token, t.payer, bytes32(salt)));
        }
        if (kind == Kind.PaysTip) {
            nonce = keccak256(abi.encode(keccak256("Tip"), t.token, t.advisor, nonce, bytes32("memo"), bytes32(salt)));
        }
    }

    function _window() internal view returns (Authorization memory a) {
        (a.validAfter, a.validBefore) = (begin - 1, begin + 1 hours);
    }

    // ------------------------------------------------------------------ where it is taken

    /// @dev The relayed call that takes `signature` at the place of `kind`; all else in it is right.
    function _callOf(Kind kind, bytes memory signature) internal view returns (address to, bytes memory data) {
        Terms memory t = _at(kind);
        to = kind == Kind.PaysTip ? address(jar) : address(escrow);
        if (kind == Kind.Quote || kind == Kind.Consent || kind == Kind.Opening) {
            data = abi.encodeCall(escrow.openFromBalance, (_openingWith(kind, t, signature)));
        } else if (kind == Kind.Voucher) {
            data = abi.encodeCall(escrow.settle, (_settlementWith(t, signature)));
        } else if (kind == Kind.Closing) {
            data = abi.encodeCall(escrow.closeFor, (_closingWith(t, signature)));
        } else if (uint256(kind) >= uint256(Kind.PaysOpening)) {
            data = _payingCall(kind, t, signature);
        } else {
            data = _plainCall(kind, _pack(t), signature);
        }
    }

    function _plainCall(Kind kind, PackedTerms memory p, bytes memory signature) private view returns (bytes memory) {
        if (kind == Kind.Leaving) return abi.encodeCall(escrow.requestClose, (p, client, signature));
        if (kind == Kind.Revocation) return abi.encodeCall(escrow.revoke, (p, advisor, signature));
        if (kind == Kind.TopUp) return abi.encodeCall(escrow.topUpFromBalance, (p, RAISED, signature));
        if (kind == Kind.Rating) return abi.encodeCall(escrow.rate, (p, 5, "comment", signature));
        if (kind == Kind.Answer) return abi.encodeCall(escrow.answer, (p, "answer", signature));
        return abi.encodeCall(escrow.withdrawFor, (payer, address(token), 1, payer, 0, begin + 1 hours, signature));
    }

    function _payingCall(Kind kind, Terms memory t, bytes memory signature) private view returns (bytes memory) {
        Authorization memory a = _window();
        a.signature = signature;
        if (kind == Kind.PaysOpening) {
            (bytes memory quote, bytes memory consent) = (_signBy(advisor, _hashOf(t)), _signBy(client, _hashOf(t)));
            return abi.encodeCall(escrow.openWithAuthorization, (_pack(t), DEPOSIT, a, quote, consent));
        }
        if (kind == Kind.PaysTopUp) return abi.encodeCall(escrow.topUpWithAuthorization, (_pack(t), RAISED, a));
        if (kind == Kind.PaysDeposit) {
            return abi.encodeCall(escrow.depositWithAuthorization, (t.token, t.payer, 1, 0, a));
        }
        return
            abi.encodeCall(jar.tipWithAuthorization, (t.payer, t.advisor, _idOf(t), t.token, 1, bytes32("memo"), 0, a));
    }

    function _openingWith(Kind kind, Terms memory t, bytes memory signature) internal view returns (Opening memory o) {
        o = _opening(t, DEPOSIT);
        if (kind == Kind.Quote) o.advisorSignature = signature;
        else if (kind == Kind.Consent) o.clientSignature = signature;
        else o.payerSignature = signature;
    }

    function _settlementWith(Terms memory t, bytes memory signature) internal view returns (Settlement memory s) {
        s = _settlement(t, 1);
        (s.voucher.r, s.voucher.vs) = _pair(signature);
    }

    function _closingWith(Terms memory t, bytes memory signature) internal view returns (Closing memory c) {
        c = _closing(t, 1);
        (c.deadline, c.advisorSignature) = (uint40(begin + 1 hours), signature);
    }

    /// @dev r and vs of EIP-2098, from 64 or 65 bytes.
    function _pair(bytes memory signature) internal pure returns (bytes32 r, bytes32 vs) {
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            vs := mload(add(signature, 64))
        }
        if (signature.length == 65) vs |= bytes32((uint256(uint8(signature[64])) - 27) << 255);
    }
}
