// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {ISessionEscrow, Opening, Session, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../contracts/libraries/Tokens.sol";
import {Base, Terms} from "./Base.sol";

/// @dev Every way to open, every event of it, and whose consent it needs. Senseless terms: SenselessTerms.t.sol.
contract OpeningTest is Base {
    // ------------------------------------------------------------------ ways

    function test_the_payer_opens_from_their_wallet_and_the_log_carries_the_whole_terms() external {
        Terms memory t = _terms();
        bytes memory quote = _sign(ADVISOR_KEY, _idOf(t));
        uint256 before = token.balanceOf(CLIENT);
        _expectOpened(t, DEPOSIT, false);
        CHEATS.prank(CLIENT);
        bytes32 id = escrow.open(_pack(t), DEPOSIT, quote, "");
        _equal(id, _idOf(t), "id");
        _equal(token.balanceOf(CLIENT), before - DEPOSIT, "paid");
        _equal(token.balanceOf(address(escrow)), DEPOSIT, "arrived");
        _isOpen(t, false);
    }

    function test_the_payer_opens_with_coin() external {
        Terms memory t = _terms();
        t.token = COIN;
        _open(t, DEPOSIT);
        _equal(address(escrow).balance, DEPOSIT, "arrived");
        _isOpen(t, false);
    }

    function test_anyone_opens_from_a_wallet_by_eip3009_with_the_id_as_nonce() external {
        Terms memory t = _sponsored();
        Authorization memory a = _authorize(SPONSOR_KEY, address(escrow), DEPOSIT, _idOf(t));
        (bytes memory quote, bytes memory consent) = (_sign(ADVISOR_KEY, _idOf(t)), _sign(CLIENT_KEY, _idOf(t)));
        _expectOpened(t, DEPOSIT, false);
        CHEATS.prank(RELAYER);
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, consent);
        require(token.authorizationState(SPONSOR, _idOf(t)), "the nonce is the id");
        _isOpen(t, false);
    }

    function test_an_authorization_in_64_bytes_opens_too() external {
        Terms memory t = _terms();
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        a.signature = _sign64(CLIENT_KEY, _receiveDigest(CLIENT, address(escrow), DEPOSIT, a, _idOf(t)));
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, _sign64(ADVISOR_KEY, _idOf(t)), "");
        _isOpen(t, false);
    }

    function test_anyone_opens_from_a_balance_by_the_payers_signature() external {
        Terms memory t = _sponsored();
        _stock(SPONSOR);
        Opening memory o = _opening(t, DEPOSIT);
        _expectOpened(t, DEPOSIT, true);
        CHEATS.prank(RELAYER);
        bytes32 id = escrow.openFromBalance(o);
        _equal(id, _idOf(t), "id");
        _equal(escrow.balanceOf(address(token), SPONSOR), 10_000e6 - DEPOSIT, "balance");
        _isOpen(t, true);
    }

    function test_the_payer_opens_from_their_balance_without_signing() external {
        Terms memory t = _terms();
        _stock(CLIENT);
        Opening memory o = _opening(t, DEPOSIT);
        o.payerSignature = "";
        CHEATS.prank(CLIENT);
        escrow.openFromBalance(o);
        _isOpen(t, true);
    }

    function test_the_advisor_opens_without_a_quote_because_they_call() external {
        Terms memory t = _sponsored();
        _stock(SPONSOR);
        Opening memory o = _opening(t, DEPOSIT);
        o.advisorSignature = "";
        CHEATS.prank(ADVISOR);
        escrow.openFromBalance(o);
        _isOpen(t, true);
    }

    function test_the_client_of_a_sponsored_session_opens_without_signing() external {
        Terms memory t = _sponsored();
        _stock(SPONSOR);
        Opening memory o = _opening(t, DEPOSIT);
        o.clientSignature = "";
        CHEATS.prank(CLIENT);
        escrow.openFromBalance(o);
        _isOpen(t, true);
    }

    function test_an_advisor_who_pays_for_their_own_client_opens_from_their_wallet_without_a_quote() external {
        Terms memory t = _terms();
        t.payer = ADVISOR;
        _fund(ADVISOR);
        bytes memory consent = _sign(CLIENT_KEY, _idOf(t));
        CHEATS.prank(ADVISOR);
        escrow.open(_pack(t), DEPOSIT, "", consent);
        _isOpen(t, false);
    }

    function test_the_largest_deposit_is_kept_to_the_last_unit() external {
        Terms memory t = _terms();
        token.mint(CLIENT, type(uint80).max);
        _open(t, type(uint80).max);
        _equal(_session(t).deposit, type(uint80).max, "deposit");
    }

    // ------------------------------------------------------------------ consent

    function test_ESC11_only_the_payer_opens_from_their_wallet() external {
        Terms memory t = _sponsored();
        (bytes memory quote, bytes memory consent) = (_sign(ADVISOR_KEY, _idOf(t)), _sign(CLIENT_KEY, _idOf(t)));
        CHEATS.expectRevert(_missing(SPONSOR));
        CHEATS.prank(CLIENT);
        escrow.open(_pack(t), DEPOSIT, quote, consent);
    }

    function test_ESC11_nobody_is_advisor_without_having_signed() external {
        _stock(SPONSOR);
        Terms memory t = _sponsored();
        Opening memory o = _opening(t, DEPOSIT);
        o.advisorSignature = "";
        _refuses(t, o, _missing(ADVISOR));
        o.advisorSignature = _sign(STRANGER_KEY, _idOf(t));
        _refuses(t, o, _wrong(ADVISOR, STRANGER));
        CHEATS.expectRevert(_missing(ADVISOR));
        CHEATS.prank(SPONSOR);
        escrow.open(o.terms, DEPOSIT, "", o.clientSignature);
        Authorization memory a = _authorize(SPONSOR_KEY, address(escrow), DEPOSIT, _idOf(t));
        CHEATS.expectRevert(_wrong(ADVISOR, STRANGER));
        escrow.openWithAuthorization(o.terms, DEPOSIT, a, o.advisorSignature, o.clientSignature);
    }

    function test_ESC11_nobody_is_client_of_a_sponsored_session_without_having_signed() external {
        _stock(SPONSOR);
        Terms memory t = _sponsored();
        Opening memory o = _opening(t, DEPOSIT);
        o.clientSignature = "";
        _refuses(t, o, _missing(CLIENT));
        CHEATS.expectRevert(_missing(CLIENT));
        CHEATS.prank(SPONSOR);
        escrow.open(o.terms, DEPOSIT, o.advisorSignature, "");
        o.clientSignature = _sign(SPONSOR_KEY, _idOf(t));
        _refuses(t, o, _wrong(CLIENT, SPONSOR));
    }

    function test_ESC11_nobody_pays_from_their_balance_without_having_signed_this_deposit() external {
        _stock(SPONSOR);
        Terms memory t = _sponsored();
        Opening memory o = _opening(t, DEPOSIT);
        o.payerSignature = "";
        _refuses(t, o, _missing(SPONSOR));
        o.payerSignature = _sign(ADVISOR_KEY, _digest(_hashOfOpening(t, DEPOSIT)));
        _refuses(t, o, _wrong(SPONSOR, ADVISOR));

        o = _opening(t, DEPOSIT);
        o.deposit = DEPOSIT + 1;
        CHEATS.prank(RELAYER);
        try escrow.openFromBalance(o) returns (bytes32) {
            revert("another deposit than signed");
        } catch (bytes memory why) {
            require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
        }
    }

    function test_ESC11_the_payers_signature_of_the_terms_alone_spends_no_balance() external {
        _stock(SPONSOR);
        Terms memory t = _sponsored();
        Opening memory o = _opening(t, DEPOSIT);
        o.payerSignature = _sign(SPONSOR_KEY, _idOf(t));
        CHEATS.prank(RELAYER);
        try escrow.openFromBalance(o) returns (bytes32) {
            revert("opened");
        } catch (bytes memory why) {
            require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
        }
    }

    function test_a_signature_that_is_given_is_checked_even_if_its_owner_calls() external {
        Terms memory t = _terms();
        t.payer = ADVISOR;
        bytes memory consent = _sign(CLIENT_KEY, _idOf(t));
        bytes memory wrong = _sign(STRANGER_KEY, _idOf(t));
        CHEATS.expectRevert(_wrong(ADVISOR, STRANGER));
        CHEATS.prank(ADVISOR);
        escrow.open(_pack(t), DEPOSIT, wrong, consent);
    }

    function test_an_authorization_for_one_session_opens_no_other() external {
        Terms memory t = _terms();
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        Terms memory other = _terms();
        other.salt = 8;
        address recovered =
            _recoveredFrom(_receiveDigest(CLIENT, address(escrow), DEPOSIT, a, _idOf(other)), a.signature);
        bytes memory quote = _sign(ADVISOR_KEY, _idOf(other));
        CHEATS.expectRevert(_wrong(CLIENT, recovered));
        escrow.openWithAuthorization(_pack(other), DEPOSIT, a, quote, "");
    }

    function test_an_authorization_that_is_missing_or_of_another_amount_opens_nothing() external {
        Terms memory t = _terms();
        bytes memory quote = _sign(ADVISOR_KEY, _idOf(t));
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        address recovered =
            _recoveredFrom(_receiveDigest(CLIENT, address(escrow), DEPOSIT - 1, a, _idOf(t)), a.signature);
        CHEATS.expectRevert(_wrong(CLIENT, recovered));
        escrow.openWithAuthorization(_pack(t), DEPOSIT - 1, a, quote, "");
        a.signature = "";
        CHEATS.expectRevert(_missing(CLIENT));
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, "");
    }

    function test_an_authorization_that_the_token_refuses_opens_nothing() external {
        Terms memory t = _terms();
        t.openBefore = uint40(time + 2 days);
        bytes memory quote = _sign(ADVISOR_KEY, _idOf(t));
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        _later(1 hours); // validBefore is exclusive
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(token)));
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, "");
        _equal(uint256(_session(t).status), uint256(Status.None), "status");
    }

    // ------------------------------------------------------------------ once

    function test_ESC6_the_same_terms_open_once() external {
        _stock(CLIENT);
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        bytes memory why = abi.encodeWithSelector(IErrors.SessionExists.selector, _idOf(t));
        _refuses(t, _opening(t, DEPOSIT), why);
        _leave(t);
        _refuses(t, _opening(t, DEPOSIT), why);
        _close(t, 0);
        _refuses(t, _opening(t, DEPOSIT), why);
        bytes memory quote = _sign(ADVISOR_KEY, _idOf(t));
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.open(_pack(t), DEPOSIT, quote, "");
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        CHEATS.expectRevert(why);
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, "");
    }

    function test_ESC12_the_advisor_or_the_payer_revokes_terms_for_ever() external {
        _stock(SPONSOR);
        Terms memory t = _sponsored();
        for (uint256 i = 0; i < 4; ++i) {
            t.salt = uint96(i);
            address by = i % 2 == 0 ? ADVISOR : SPONSOR;
            bytes memory signature = i < 2 ? bytes("") : _signBy(by, _revocation(t));
            _expectEvent();
            emit ISessionEscrow.Revoked(_idOf(t), by);
            CHEATS.prank(i < 2 ? by : RELAYER);
            escrow.revoke(_pack(t), by, signature);
            Session memory s = _session(t);
            _equal(uint256(s.status), uint256(Status.Revoked), "status");
            _equal(s.closedAt, time, "when");
            _refuses(t, _opening(t, DEPOSIT), abi.encodeWithSelector(IErrors.SessionExists.selector, _idOf(t)));
        }
    }

    function test_nobody_else_revokes() external {
        Terms memory t = _sponsored();
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.NotAParty.selector, CLIENT, ADVISOR, SPONSOR));
        CHEATS.prank(CLIENT);
        escrow.revoke(_pack(t), CLIENT, "");
        CHEATS.expectRevert(_missing(ADVISOR));
        CHEATS.prank(RELAYER);
        escrow.revoke(_pack(t), ADVISOR, "");
        bytes memory signature = _signBy(SPONSOR, _revocation(t));
        CHEATS.expectRevert(_wrong(ADVISOR, SPONSOR));
        escrow.revoke(_pack(t), ADVISOR, signature);
    }

    function test_neither_an_open_session_nor_a_closed_nor_a_revoked_one_is_revoked() external {
        Terms memory t = _terms();
        bytes memory why = abi.encodeWithSelector(IErrors.SessionExists.selector, _idOf(t));
        _open(t, DEPOSIT);
        _mayNotRevoke(t, why);
        _leave(t);
        _mayNotRevoke(t, why);
        _close(t, 0);
        _mayNotRevoke(t, why);
        t.salt = 8;
        CHEATS.prank(ADVISOR);
        escrow.revoke(_pack(t), ADVISOR, "");
        _mayNotRevoke(t, abi.encodeWithSelector(IErrors.SessionExists.selector, _idOf(t)));
    }

    function test_ESC12_revoked_terms_open_in_no_way() external {
        Terms memory t = _terms();
        CHEATS.prank(ADVISOR);
        escrow.revoke(_pack(t), ADVISOR, "");
        bytes memory why = abi.encodeWithSelector(IErrors.SessionExists.selector, _idOf(t));
        bytes memory quote = _sign(ADVISOR_KEY, _idOf(t));
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.open(_pack(t), DEPOSIT, quote, "");
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        CHEATS.expectRevert(why);
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, "");
        _stock(CLIENT);
        _refuses(t, _opening(t, DEPOSIT), why);
    }

    function test_ESC12_terms_that_would_be_refused_anyway_may_be_revoked_too() external {
        Terms memory t = _terms();
        t.openBefore = uint40(time - 1);
        _expectEvent();
        emit ISessionEscrow.Revoked(_idOf(t), ADVISOR);
        CHEATS.prank(ADVISOR);
        escrow.revoke(_pack(t), ADVISOR, "");
        _equal(uint256(_session(t).status), uint256(Status.Revoked), "status");
    }

    function test_ESC14_a_revocation_signature_is_for_its_terms() external {
        Terms memory t = _terms();
        bytes memory signature = _signBy(ADVISOR, _revocation(t));
        t.salt = 8;
        try escrow.revoke(_pack(t), ADVISOR, signature) {
            revert("revoked");
        } catch (bytes memory why) {
            require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
        }
    }

    function test_a_session_that_never_was_reads_as_nothing() external view {
        Session memory empty;
        _equal(abi.encode(_session(_terms())), abi.encode(empty), "session");
        _equal(uint256(empty.status), uint256(Status.None), "status");
    }

    function test_a_revoked_session_is_not_open_to_anything() external {
        Terms memory t = _terms();
        CHEATS.prank(ADVISOR);
        escrow.revoke(_pack(t), ADVISOR, "");
        _refuses(t, _settlement(t, 1), _notOpen(t));
        _refuses(t, _closing(t, 0), _notOpen(t));
        CHEATS.expectRevert(_notOpen(t));
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), DEPOSIT);
        CHEATS.expectRevert(_notOpen(t));
        CHEATS.prank(CLIENT);
        escrow.requestClose(_pack(t), CLIENT, "");
        CHEATS.expectRevert(_notOpen(t));
        escrow.finalize(_pack(t));
        CHEATS.expectRevert(_notOpen(t));
        CHEATS.prank(ADVISOR);
        escrow.close(_settlement(t, 0));
    }

    // ------------------------------------------------------------------ money

    function test_a_balance_that_is_too_small_opens_nothing() external {
        Terms memory t = _terms();
        _stock(CLIENT);
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(token), 10_000e6 - DEPOSIT + 1, CLIENT);
        bytes memory why =
            abi.encodeWithSelector(IErrors.BalanceTooSmall.selector, CLIENT, DEPOSIT, uint256(DEPOSIT) - 1);
        _refuses(t, _opening(t, DEPOSIT), why);
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.openFromBalance(_opening(t, DEPOSIT));
    }

    function test_coin_that_is_not_exactly_the_deposit_is_refused() external {
        Terms memory t = _terms();
        t.token = COIN;
        bytes memory quote = _sign(ADVISOR_KEY, _idOf(t));
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongValue.selector, DEPOSIT, DEPOSIT - 1));
        CHEATS.prank(CLIENT);
        escrow.open{value: DEPOSIT - 1}(_pack(t), DEPOSIT, quote, "");
        t.token = address(token);
        quote = _sign(ADVISOR_KEY, _idOf(t));
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongValue.selector, 0, 1));
        CHEATS.prank(CLIENT);
        escrow.open{value: 1}(_pack(t), DEPOSIT, quote, "");
    }

    function test_a_wallet_without_the_money_opens_nothing() external {
        Terms memory t = _terms();
        uint256 all = token.balanceOf(CLIENT);
        CHEATS.prank(CLIENT);
        token.transfer(STRANGER, all - DEPOSIT + 1);
        bytes memory quote = _sign(ADVISOR_KEY, _idOf(t));
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(token)));
        CHEATS.prank(CLIENT);
        escrow.open(_pack(t), DEPOSIT, quote, "");
    }

    function test_coin_has_no_authorizations() external {
        Terms memory t = _terms();
        t.token = COIN;
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        bytes memory quote = _sign(ADVISOR_KEY, _idOf(t));
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenWithoutCode.selector, COIN));
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, "");
    }

    // ------------------------------------------------------------------ helpers

    function _isOpen(Terms memory t, bool fromBalance) private view {
        Session memory s = _session(t);
        _equal(uint256(s.status), uint256(Status.Open), "status");
        _equal(s.deposit, DEPOSIT, "deposit");
        _equal(s.earned, 0, "earned");
        _equal(s.openedAt, time, "openedAt");
        _equal(uint256(s.closingAt) + s.closedAt + s.score, 0, "the rest");
        require(s.refundsToBalance == fromBalance && !s.answered, "flags");
    }

    function _mayNotRevoke(Terms memory t, bytes memory why) private {
        CHEATS.expectRevert(why);
        CHEATS.prank(ADVISOR);
        escrow.revoke(_pack(t), ADVISOR, "");
    }

    function _recoveredFrom(bytes32 digest, bytes memory signature) private pure returns (address) {
        (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
        return ecrecover(digest, uint8(signature[64]), r, s);
    }
}
