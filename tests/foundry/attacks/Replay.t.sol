// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {TestUSD} from "../../../contracts/TestUSD.sol";
import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Closing, ISessionEscrow, Opening, Settlement, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {ITipJar} from "../../../contracts/interfaces/ITipJar.sol";
import {PackedTerms} from "../../../contracts/libraries/Terms.sol";
import {Terms} from "../Base.sol";
import {OwnedWallet} from "../mocks/Wallets.sol";
import {Kind, Kinds} from "./Kinds.sol";

/// @dev Somebody has seen a signature and sends it again: elsewhere, as something else, or once more.
contract ReplayTest is Kinds {
    bytes4 private constant WRONG = IErrors.WrongSigner.selector;

    /// @dev Wants one consent to count as another: a rating as a closing, a quote as a payment. Stopped by the type in
    /// each digest. Quote and consent alone are the same message, of which the terms say who gives it. Known from:
    /// microraiden #193.
    function test_no_signature_counts_at_the_place_of_another_kind() external {
        _castOneKey();
        for (uint256 i = 0; i < KINDS; ++i) {
            for (uint256 j = 0; j < KINDS; ++j) {
                if (i == j || i + j == uint256(Kind.Quote) + uint256(Kind.Consent)) continue;
                bytes memory stray = _sign(METER_KEY, _digestOf(Kind(j), _at(Kind(i)), 0));
                _refused(Kind(i), stray);
            }
            _taken(Kind(i)); // the place was open all the time
        }
    }

    /// @dev Wants a quote to be a client's consent, both being `Terms`. Gains nothing: who signed as what stands in
    /// what was signed, and client and advisor are never the same account.
    function test_a_quote_and_a_consent_are_one_message_and_count_only_for_whom_the_terms_name() external {
        _castKeys();
        Opening memory o = _openingWith(Kind.Consent, _at(Kind.Consent), _signed(Kind.Quote));
        bytes32 id = _idOf(_at(Kind.Consent));
        o.clientSignature = _sign(ADVISOR_KEY, id);
        _refuses(_at(Kind.Consent), o, _wrong(CLIENT, ADVISOR));
        o.clientSignature = _sign(CLIENT_KEY, id);
        o.advisorSignature = o.clientSignature;
        _refuses(_at(Kind.Consent), o, _wrong(ADVISOR, CLIENT));
    }

    /// @dev Wants a voucher, a leaving, a tip of one session to count in the next, which differs in its salt alone.
    /// Stopped by the session's id in each message; withdrawals, deposits and tips by nonce and salt.
    function test_no_signature_counts_for_another_session() external {
        _castOneKey();
        for (uint256 i = 0; i < KINDS; ++i) {
            Terms memory twin = _at(Kind(i));
            twin.salt += 1_000;
            _refused(Kind(i), _sign(METER_KEY, _digestOf(Kind(i), twin, 1)));
            _taken(Kind(i));
        }
    }

    /// @dev Wants what was signed on a test chain to count on the real one. Stopped by the chain's id in both domains.
    /// Known from: filecoin specs #527, microraiden.
    function test_no_signature_counts_on_another_chain() external {
        _castOneKey();
        bytes[] memory strays = new bytes[](KINDS);
        CHEATS.chainId(31338);
        for (uint256 i = 0; i < KINDS; ++i) {
            strays[i] = _signed(Kind(i));
        }
        CHEATS.chainId(31337);
        for (uint256 i = 0; i < KINDS; ++i) {
            _refused(Kind(i), strays[i]);
            _taken(Kind(i));
        }
    }

    /// @dev Wants what was signed for one escrow, or one jar, to count at a second one of the same code. Stopped by the
    /// verifying contract in the domain, and by `to` in authorizations. Known from: MPE.
    function test_no_signature_counts_at_another_escrow_or_jar() external {
        _castOneKey();
        (ISessionEscrow here, ITipJar jarHere) = (escrow, jar);
        bytes[] memory strays = new bytes[](KINDS);
        (escrow, jar) = (ISessionEscrow(_shipped("SessionEscrow")), ITipJar(_shipped("TipJar")));
        for (uint256 i = 0; i < KINDS; ++i) {
            strays[i] = _signed(Kind(i));
        }
        (escrow, jar) = (here, jarHere);
        for (uint256 i = 0; i < KINDS; ++i) {
            _refused(Kind(i), strays[i]);
            _taken(Kind(i));
        }
    }

    /// @dev Wants an authorization of a worthless token to pay in a dear one. Stopped by the token in the terms, in the
    /// nonces, and in the token's own domain.
    function test_no_signature_counts_in_another_token() external {
        _castOneKey();
        TestUSD here = token;
        bytes[] memory strays = new bytes[](KINDS);
        token = TestUSD(_shipped("TestUSD"));
        for (uint256 i = 0; i < KINDS; ++i) {
            strays[i] = _signed(Kind(i));
        }
        token = here;
        for (uint256 i = 0; i < KINDS; ++i) {
            _refused(Kind(i), strays[i]);
            _taken(Kind(i));
        }
    }

    /// @dev Wants the same signature to work twice. Stopped by what it changed: ids are used once, deposits and
    /// vouchers only rise, withdrawals are numbered, tokens keep their nonces.
    function test_no_signature_counts_twice() external {
        _castKeys();
        for (uint256 i = 0; i < KINDS; ++i) {
            _taken(Kind(i));
            (address to, bytes memory data) = _callOf(Kind(i), _signed(Kind(i)));
            _fails(STRANGER, to, data, _spent(Kind(i)));
        }
        _booksAreRight(address(token), 0);
    }

    /// @dev Wants the other encoding of a spent signature to pass for a new one. Nothing counts signatures here: what
    /// is spent is the message, so 64 bytes and 65 are the same.
    function test_a_spent_signature_in_another_encoding_is_spent() external {
        _castKeys();
        for (uint256 i = 0; i < KINDS; ++i) {
            (address to, bytes memory data) = _callOf(Kind(i), _sign64(_keyOf(Kind(i)), _digestOf(_at(Kind(i)), i)));
            _works(STRANGER, to, data);
            (to, data) = _callOf(Kind(i), _signed(Kind(i)));
            _fails(STRANGER, to, data, _spent(Kind(i)));
        }
    }

    /// @dev Wants the mirror image to pass for a second signature. Stopped by the bound on s, at every place. Known
    /// from: raiden ECVerify.
    function test_the_mirror_image_of_a_signature_counts_nowhere() external {
        _castKeys();
        for (uint256 i = 0; i < KINDS; ++i) {
            Kind kind = Kind(i);
            (bytes memory mirrored,) = _signHigh(_keyOf(kind), _digestOf(kind, _at(kind), 0));
            (address to, bytes memory data) = _callOf(kind, mirrored);
            (bool done, bytes memory why) = _send(STRANGER, to, data);
            require(!done, "the attack worked");
            // A meter's signature has no room for a high s: its highest bit is the parity, and what remains is wrong.
            bool told = bytes4(why) == IErrors.HighS.selector || (kind == Kind.Voucher && bytes4(why) == WRONG);
            require(told, "the attack failed for another reason");
            _taken(kind);
        }
    }

    /// @dev Wants to act for one wallet with what the owner of two signed for the other. Stopped by the account in each
    /// message. (A wallet that leaves its own address out of what it checks is safe here for that reason.)
    function test_what_the_owner_of_two_wallets_signs_for_one_counts_not_for_the_other() external {
        _castOneKey();
        address other = address(new OwnedWallet(client));
        keys[other] = METER_KEY;
        _stock(other);
        bytes memory signature = _signed(Kind.Withdrawal);
        _fails(
            STRANGER,
            address(escrow),
            abi.encodeCall(escrow.withdrawFor, (other, address(token), 1, payer, 0, begin + 1 hours, signature)),
            WRONG
        );
        Terms memory t = _at(Kind.Opening);
        Opening memory o = _openingWith(Kind.Opening, t, _signed(Kind.Opening));
        t.payer = other;
        o.terms = _pack(t);
        _fails(STRANGER, address(escrow), abi.encodeCall(escrow.openFromBalance, (o)), WRONG);
    }

    // ------------------------------------------------------------------ ids and records

    /// @dev Wants to fund a closed session's id again, so that its old vouchers earn again. Stopped by the slot, which
    /// is never cleared (ESC-6). Known from: the MPP draft, which says that records must never be deleted.
    function test_the_id_of_a_closed_or_revoked_session_is_never_used_again() external {
        _castKeys();
        Terms memory t = _at(Kind.Closing);
        _taken(Kind.Closing);
        _taken(Kind.Revocation);
        Terms memory revoked = _at(Kind.Revocation);
        _later(10 minutes);
        bytes4 exists = IErrors.SessionExists.selector;
        _fails(STRANGER, address(escrow), abi.encodeCall(escrow.openFromBalance, (_opening(t, DEPOSIT))), exists);
        _fails(STRANGER, address(escrow), abi.encodeCall(escrow.openFromBalance, (_opening(revoked, DEPOSIT))), exists);
        (address to, bytes memory data) = _callOf(Kind.Voucher, "");
        data = abi.encodeCall(escrow.settle, (_settlement(t, 20)));
        _fails(STRANGER, to, data, IErrors.SessionNotOpen.selector);
    }

    /// @dev Wants a second session of the same terms, written another way: bits that nothing reads, or a payer who is
    /// the client spelt out. Stopped at opening; later such terms are just another way to write the same session.
    function test_terms_written_another_way_make_no_second_session() external {
        _castKeys();
        Opening memory o = _opening(_at(Kind.Opening), DEPOSIT);
        o.terms.payer |= bytes32(uint256(1));
        bytes4 another = IErrors.TermsNotCanonical.selector;
        _fails(STRANGER, address(escrow), abi.encodeCall(escrow.openFromBalance, (o)), another);

        Terms memory t = _interactions(); // the client pays
        PackedTerms memory spelt = _pack(t);
        spelt.payer |= bytes32(bytes20(CLIENT));
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        _fails(CLIENT, address(escrow), abi.encodeCall(escrow.open, (spelt, DEPOSIT, quote, "")), another);
        _open(t, DEPOSIT);
        spelt.advisor |= bytes32(uint256(0xffff));
        _equal(escrow.sessionIdOf(spelt), _idOf(t), "the same id");
        Settlement memory s = _settlement(t, 1);
        s.terms = spelt;
        escrow.settle(s);
        _works(CLIENT, address(escrow), abi.encodeCall(escrow.topUp, (spelt, RAISED)));
        uint256 before = token.balanceOf(CLIENT);
        Closing memory c = _closing(t, 1);
        c.terms = spelt;
        escrow.closeFor(c);
        _equal(token.balanceOf(CLIENT) - before, RAISED - 1_500_000, "refunded to the client");
        _equal(uint256(_session(t).status), uint256(Status.Closed), "the one session");
    }

    /// @dev Wants an unsigned voucher to pass because it is stale and brings nothing. Stopped: the signature is looked
    /// at before anything else. Known from: mpp-rs #130.
    function test_a_stale_voucher_must_be_signed_too() external {
        _castKeys();
        Terms memory t = _at(Kind.Closing);
        _settle(t, 5);
        Settlement memory s = _settlement(t, 5);
        s.voucher = _voucherBy(STRANGER_KEY, t, 2);
        _refuses(t, s, _wrong(t.meterKey, STRANGER));
        Closing memory c = _closing(t, 2);
        c.voucher = s.voucher;
        _refuses(t, c, _wrong(t.meterKey, STRANGER));
        s.voucher = _voucherBy(STRANGER_KEY, t, 2);
        CHEATS.prank(ADVISOR);
        (bool done,) = address(escrow).call(abi.encodeCall(escrow.close, (s)));
        require(!done, "closed on an unsigned voucher");
    }

    // ------------------------------------------------------------------ chains that begin again, or part

    /// @dev Wants to play a whole old life again on a local chain that restarted with the same id and addresses. It
    /// works, and no contract can know better: nothing on the new chain differs. (The SDK's chains have a genesis of
    /// their own.)
    function test_on_a_chain_that_begins_again_old_signatures_count_again() external {
        uint256 genesis = MORE_CHEATS.snapshotState();
        bytes[] memory life = _wholeLife();
        MORE_CHEATS.revertToState(genesis);
        _fundPayer();
        for (uint256 i = 0; i < life.length; ++i) {
            _works(STRANGER, address(escrow), life[i]);
        }
        _equal(escrow.balanceOf(address(token), ADVISOR), 1_350_000, "earned without having advised");
    }

    /// @dev The same, after the quote is over: what limits it is `openBefore`, at most 30 days. Without its session
    /// nothing else that was signed has anything to act on, and what is of no session has its own end.
    function test_on_a_chain_that_begins_again_nothing_counts_after_the_quotes_end() external {
        uint256 genesis = MORE_CHEATS.snapshotState();
        bytes[] memory life = _wholeLife();
        MORE_CHEATS.revertToState(genesis);
        _fundPayer();
        _later(1 days);
        bytes4[9] memory reasons = [
            IErrors.QuoteExpired.selector,
            IErrors.SessionNotOpen.selector,
            IErrors.SessionNotOpen.selector,
            IErrors.SessionNotOpen.selector,
            IErrors.SignatureExpired.selector,
            IErrors.SessionNotClosed.selector,
            IErrors.NotRated.selector,
            IErrors.SignatureExpired.selector,
            IErrors.TokenCallFailed.selector
        ];
        for (uint256 i = 0; i < life.length; ++i) {
            _fails(STRANGER, address(escrow), life[i], reasons[i]);
        }
    }

    /// @dev Wants a fork's copy of a session to pay twice. After a fork that changes the chain's id, what was signed
    /// counts on the old chain only. The price: on the new chain sessions that were open cannot be named any more and
    /// their deposits wait there for ever, while balances are paid out on both.
    function test_a_fork_that_changes_the_chain_id_keeps_open_sessions_on_the_old_chain() external {
        _castKeys();
        Terms memory t = _at(Kind.Closing);
        (Settlement memory s, Closing memory c) = (_settlement(t, 3), _closing(t, 3));
        PackedTerms memory p = _pack(t);
        CHEATS.chainId(31338);
        bytes4 notOpen = IErrors.SessionNotOpen.selector;
        _fails(STRANGER, address(escrow), abi.encodeCall(escrow.settle, (s)), notOpen);
        _fails(ADVISOR, address(escrow), abi.encodeCall(escrow.close, (s)), notOpen);
        _fails(CLIENT, address(escrow), abi.encodeCall(escrow.requestClose, (p, CLIENT, "")), notOpen);
        _works(SPONSOR, address(escrow), abi.encodeCall(escrow.withdraw, (address(token), 5, SPONSOR)));
        CHEATS.chainId(31337);
        escrow.closeFor(c);
        _equal(uint256(_session(t).status), uint256(Status.Closed), "status on the old chain");
        _booksAreRight(address(token), 0);
    }

    // ------------------------------------------------------------------ helpers

    function _refused(Kind kind, bytes memory signature) private {
        (address to, bytes memory data) = _callOf(kind, signature);
        _fails(STRANGER, to, data, WRONG);
    }

    function _taken(Kind kind) private {
        (address to, bytes memory data) = _callOf(kind, _signed(kind));
        _works(STRANGER, to, data);
    }

    function _digestOf(Terms memory t, uint256 kind) private view returns (bytes32) {
        return _digestOf(Kind(kind), t, 0);
    }

    function _spent(Kind kind) private pure returns (bytes4) {
        if (_fresh(kind)) return IErrors.SessionExists.selector;
        if (kind == Kind.Voucher) return IErrors.StaleVoucher.selector;
        if (kind == Kind.Closing) return IErrors.SessionNotOpen.selector;
        if (kind == Kind.Leaving) return IErrors.AlreadyClosing.selector;
        if (kind == Kind.TopUp || kind == Kind.PaysTopUp) return IErrors.DepositNotRaised.selector;
        if (kind == Kind.Withdrawal) return IErrors.WrongNonce.selector;
        if (kind == Kind.Rating) return IErrors.AlreadyRated.selector;
        if (kind == Kind.Answer) return IErrors.AlreadyAnswered.selector;
        return IErrors.TokenCallFailed.selector; // the token's nonce is used
    }

    function _fundPayer() private {
        (client, payer, advisor) = (CLIENT, SPONSOR, ADVISOR);
        begin = time;
        _stock(payer);
    }

    /// @dev Everything that is signed in a session from quote to answer, a withdrawal and a deposit; all of it is used.
    function _wholeLife() private returns (bytes[] memory life) {
        _fundPayer();
        Terms memory t = _at(Kind.Opening);
        life = new bytes[](9);
        life[0] = abi.encodeCall(escrow.openFromBalance, (_opening(t, DEPOSIT)));
        life[1] = _topUpCall(t, RAISED);
        life[2] = abi.encodeCall(escrow.settle, (_settlement(t, 1)));
        life[3] = _leavingCall(t);
        life[4] = abi.encodeCall(escrow.closeFor, (_closing(t, 1)));
        life[5] = _ratingCall(t, 5);
        life[6] = _answerCall(t);
        (, life[7]) = _callOf(Kind.Withdrawal, _signed(Kind.Withdrawal));
        (, life[8]) = _callOf(Kind.PaysDeposit, _signed(Kind.PaysDeposit));
        for (uint256 i = 0; i < 9; ++i) {
            _works(RELAYER, address(escrow), life[i]);
        }
    }
}
