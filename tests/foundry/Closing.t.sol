// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {
    Closing,
    ISessionEscrow,
    Session,
    Settlement,
    Status,
    Voucher
} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Base, Terms} from "./Base.sol";

/// @dev The advisor ends a session: by calling, or by signature.
contract ClosingTest is Base {
    function test_the_advisor_closes_on_a_voucher_and_the_rest_returns_to_the_wallet() external {
        Terms memory t = _terms();
        uint256 before = token.balanceOf(CLIENT);
        _open(t, DEPOSIT);
        _later(3 minutes);
        Settlement memory s = _settlement(t, 3);
        _expectEvent();
        emit ISessionEscrow.SessionClosed(_idOf(t), 3, 3_500_000, _journal(3));
        CHEATS.prank(ADVISOR);
        escrow.close(s);
        _isClosed(t, 3_500_000);
        _equal(token.balanceOf(CLIENT), before - 3_500_000, "refund");
        _equal(escrow.balanceOf(address(token), ADVISOR), 3_150_000, "advisor");
        _equal(escrow.balanceOf(address(token), PLATFORM), 350_000, "platform");
        _equal(token.balanceOf(address(escrow)), 3_500_000, "kept");
    }

    function test_the_rest_of_a_coin_deposit_returns_to_the_wallet() external {
        Terms memory t = _interactions();
        t.token = COIN;
        _open(t, DEPOSIT);
        uint256 before = CLIENT.balance;
        _close(t, 3);
        _equal(CLIENT.balance, before + DEPOSIT - 3_500_000, "refund");
        _equal(address(escrow).balance, 3_500_000, "kept");
        _isClosed(t, 3_500_000);
    }

    function test_the_rest_of_a_deposit_from_a_balance_returns_to_the_balance() external {
        Terms memory t = _interactions();
        _openFromBalance(t, DEPOSIT);
        uint256 wallet = token.balanceOf(CLIENT);
        _close(t, 3);
        _equal(escrow.balanceOf(address(token), CLIENT), 10_000e6 - 3_500_000, "balance");
        _equal(token.balanceOf(CLIENT), wallet, "wallet");
    }

    function test_a_deposit_that_is_earned_whole_returns_nothing() external {
        Terms memory t = _interactions();
        _open(t, 10e6);
        uint256 wallet = token.balanceOf(CLIENT);
        _close(t, 20);
        _equal(token.balanceOf(CLIENT), wallet, "wallet");
        _isClosedOf(t, 10e6, 10e6);
    }

    function test_anyone_closes_by_the_advisors_signature_of_exactly_these_units() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 3);
        _expectEvent();
        emit ISessionEscrow.SessionClosed(_idOf(t), 3, 3_500_000, _journal(3));
        CHEATS.prank(RELAYER);
        escrow.closeFor(c);
        _isClosed(t, 3_500_000);
    }

    function test_anyone_closes_without_a_voucher_by_a_signature_of_no_units() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 0);
        c.voucher.journal = _journal(9); // no meter signed it, so it is not in the log
        c.advisorSignature = _signBy(ADVISOR, _closingHash(t, 0, _journal(9), c.deadline));
        _expectEvent();
        emit ISessionEscrow.SessionClosed(_idOf(t), 0, 0, bytes32(0));
        CHEATS.prank(RELAYER);
        escrow.closeFor(c);
        _isClosed(t, 0);
    }

    function test_the_advisor_closes_by_closeFor_without_signing() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 3);
        (c.advisorSignature, c.deadline) = ("", 0);
        CHEATS.prank(ADVISOR);
        escrow.closeFor(c);
        _isClosed(t, 3_500_000);
    }

    // ------------------------------------------------------------------ ESC-17

    function test_ESC17_close_succeeds_without_a_voucher() external {
        Terms memory t = _interactions();
        uint256 before = token.balanceOf(CLIENT);
        _open(t, DEPOSIT);
        _close(t, 0);
        _isClosed(t, 0);
        _equal(token.balanceOf(CLIENT), before, "everything returned");
    }

    function test_ESC17_close_succeeds_with_a_stale_or_equal_voucher_and_credits_nothing_twice() external {
        for (uint32 units = 0; units <= 5; units += 1) {
            Terms memory t = _interactions();
            t.salt = units;
            _open(t, DEPOSIT);
            _settle(t, 5);
            uint256 earnings = escrow.balanceOf(address(token), ADVISOR);
            Settlement memory s = _settlement(t, units);
            _expectEvent();
            emit ISessionEscrow.SessionClosed(_idOf(t), units, 5_500_000, units == 0 ? bytes32(0) : _journal(units));
            CHEATS.prank(ADVISOR);
            escrow.close(s);
            _isClosed(t, 5_500_000);
            _equal(escrow.balanceOf(address(token), ADVISOR), earnings, "advisor");
        }
    }

    function test_ESC17_close_credits_only_the_difference_of_a_newer_voucher() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        _settle(t, 5);
        _close(t, 8);
        _isClosed(t, 8_500_000);
        _equal(escrow.balanceOf(address(token), ADVISOR), 7_650_000, "advisor");
        _equal(escrow.balanceOf(address(token), PLATFORM), 850_000, "platform");
    }

    function test_ESC17_an_invalid_voucher_closes_nothing() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _refuses(t, _closing(t, 2), abi.encodeWithSelector(IErrors.TooManyUnits.selector, 1, 2));
        Closing memory c = _closing(t, 1);
        c.voucher = _voucherBy(STRANGER_KEY, t, 1);
        _refuses(t, c, _wrong(t.meterKey, STRANGER));
        CHEATS.expectRevert(_wrong(t.meterKey, STRANGER));
        CHEATS.prank(ADVISOR);
        escrow.close(Settlement(c.terms, c.voucher));
    }

    // ------------------------------------------------------------------ consent

    function test_only_the_advisor_closes_by_calling() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Settlement memory s = _settlement(t, 1);
        address[3] memory others = [CLIENT, RELAYER, PLATFORM];
        for (uint256 i = 0; i < 3; ++i) {
            CHEATS.expectRevert(_missing(ADVISOR));
            CHEATS.prank(others[i]);
            escrow.close(s);
        }
    }

    function test_ESC11_closing_for_an_advisor_needs_their_signature() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 1);
        c.advisorSignature = "";
        _refuses(t, c, _missing(ADVISOR));
        c.advisorSignature = _sign(CLIENT_KEY, _digest(_closingHash(t, 1, c.deadline)));
        _refuses(t, c, _wrong(ADVISOR, CLIENT));
    }

    function test_a_closing_signature_holds_until_its_deadline_inclusively() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 1);
        _at(uint256(c.deadline) + 1);
        _refuses(t, c, abi.encodeWithSelector(IErrors.SignatureExpired.selector, c.deadline, uint256(c.deadline) + 1));
        _at(c.deadline);
        CHEATS.prank(RELAYER);
        escrow.closeFor(c);
        _isClosed(t, 1_500_000);
    }

    function test_a_closing_signature_closes_on_no_other_units_and_at_no_other_deadline() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 5);
        c.voucher = _voucher(t, 4);
        _refusesAnySigner(c);
        c.voucher = _voucher(t, 0);
        _refusesAnySigner(c);
        c.voucher = _voucher(t, 6);
        _refusesAnySigner(c);
        c = _closing(t, 5);
        c.deadline += 1;
        _refusesAnySigner(c);
    }

    // ------------------------------------------------------------------ ESC-6

    function test_ESC6_a_closed_session_never_closes_or_pays_again() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 3);
        escrow.closeFor(c);
        uint256 kept = token.balanceOf(address(escrow));
        _later(1);
        _refuses(t, c, _notOpen(t));
        _refuses(t, _closing(t, 5), _notOpen(t));
        CHEATS.expectRevert(_notOpen(t));
        CHEATS.prank(ADVISOR);
        escrow.close(Settlement(c.terms, c.voucher));
        CHEATS.expectRevert(_notOpen(t));
        escrow.finalize(_pack(t));
        _equal(token.balanceOf(address(escrow)), kept, "kept");
        _equal(_session(t).closedAt, time - 1, "closedAt is set once");
    }

    function test_a_session_that_never_was_closes_nothing() external {
        Terms memory t = _interactions();
        _refuses(t, _closing(t, 0), _notOpen(t));
        Settlement memory s = _settlement(t, 0);
        CHEATS.expectRevert(_notOpen(t));
        CHEATS.prank(ADVISOR);
        escrow.close(s);
    }

    function test_ESC18_all_that_the_parties_do_in_a_session_is_done_by_signature() external {
        Terms memory t = _sponsored();
        _stock(SPONSOR);
        bytes memory consent = _signBy(SPONSOR, _topUpHash(t, DEPOSIT + 1));
        // Everything from here on is sent by this test, which is no party.
        escrow.openFromBalance(_opening(t, DEPOSIT));
        escrow.topUpFromBalance(_pack(t), DEPOSIT + 1, consent);
        escrow.settle(_settlement(t, 1));
        escrow.requestClose(_pack(t), CLIENT, _signBy(CLIENT, _leaving(t)));
        escrow.closeFor(_closing(t, 1));
        escrow.rate(_pack(t), 5, "", _signBy(CLIENT, _ratingHash(t, 5, "")));
        escrow.answer(_pack(t), "", _signBy(ADVISOR, _answerHash(t, "")));
        bytes32 withdrawal = keccak256(
            abi.encode(_type(WITHDRAWAL_TYPE), ADVISOR, address(token), 1_350_000, ADVISOR, uint256(0), time)
        );
        escrow.withdrawFor(ADVISOR, address(token), 1_350_000, ADVISOR, 0, time, _signBy(ADVISOR, withdrawal));
        _equal(token.balanceOf(ADVISOR), 1_350_000, "paid");
        t.salt = 8;
        escrow.revoke(_pack(t), ADVISOR, _signBy(ADVISOR, _revocation(t)));
    }

    // ------------------------------------------------------------------ helpers

    function _isClosed(Terms memory t, uint80 earned) private view {
        _isClosedOf(t, DEPOSIT, earned);
    }

    function _isClosedOf(Terms memory t, uint80 deposit, uint80 earned) private view {
        Session memory s = _session(t);
        _equal(uint256(s.status), uint256(Status.Closed), "status");
        _equal(s.deposit, deposit, "deposit");
        _equal(s.earned, earned, "earned");
        _equal(s.closedAt, time, "closedAt");
        _equal(s.closingAt, 0, "closingAt");
    }

    function _refusesAnySigner(Closing memory c) private {
        try escrow.closeFor(c) {
            revert("closed");
        } catch (bytes memory why) {
            require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
        }
    }
}
