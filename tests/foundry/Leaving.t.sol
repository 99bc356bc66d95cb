// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {ISessionEscrow, Session, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Base, Terms} from "./Base.sol";

/// @dev The client or the payer ends a session without the advisor: ask, wait the grace period, anyone finalizes.
contract LeavingTest is Base {
    function test_the_client_or_the_payer_asks_to_close_by_calling_or_by_signature() external {
        Terms memory t = _sponsored();
        for (uint256 i = 0; i < 4; ++i) {
            t.salt = uint96(i);
            _open(t, DEPOSIT);
            address by = i % 2 == 0 ? CLIENT : SPONSOR;
            bytes memory signature = i < 2 ? bytes("") : _signBy(by, _leaving(t));
            _expectEvent();
            emit ISessionEscrow.CloseRequested(_idOf(t), by, uint40(time + 1 hours));
            CHEATS.prank(i < 2 ? by : RELAYER);
            escrow.requestClose(_pack(t), by, signature);
            Session memory s = _session(t);
            _equal(uint256(s.status), uint256(Status.Closing), "status");
            _equal(s.closingAt, time, "closingAt");
            _equal(s.closedAt, 0, "closedAt");
        }
    }

    function test_nobody_else_asks_to_close() external {
        Terms memory t = _sponsored();
        _open(t, DEPOSIT);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.NotAParty.selector, ADVISOR, CLIENT, SPONSOR));
        CHEATS.prank(ADVISOR);
        escrow.requestClose(_pack(t), ADVISOR, "");
        CHEATS.expectRevert(_missing(CLIENT));
        CHEATS.prank(SPONSOR);
        escrow.requestClose(_pack(t), CLIENT, "");
        bytes memory signature = _signBy(ADVISOR, _leaving(t));
        CHEATS.expectRevert(_wrong(CLIENT, ADVISOR));
        escrow.requestClose(_pack(t), CLIENT, signature);
    }

    function test_ESC7_asking_again_changes_nothing() external {
        Terms memory t = _sponsored();
        _open(t, DEPOSIT);
        _leave(t);
        uint256 asked = time;
        _later(10);
        bytes memory why = abi.encodeWithSelector(IErrors.AlreadyClosing.selector, _idOf(t), asked);
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.requestClose(_pack(t), CLIENT, "");
        CHEATS.expectRevert(why);
        CHEATS.prank(SPONSOR);
        escrow.requestClose(_pack(t), SPONSOR, "");
        _equal(_session(t).closingAt, asked, "closingAt");
    }

    function test_only_an_open_session_is_left() external {
        Terms memory t = _terms();
        CHEATS.expectRevert(_notOpen(t));
        CHEATS.prank(CLIENT);
        escrow.requestClose(_pack(t), CLIENT, "");
        _open(t, DEPOSIT);
        _close(t, 0);
        CHEATS.expectRevert(_notOpen(t));
        CHEATS.prank(CLIENT);
        escrow.requestClose(_pack(t), CLIENT, "");
    }

    // ------------------------------------------------------------------ ESC-7

    function test_ESC7_anyone_finalizes_exactly_when_grace_ends() external {
        Terms memory t = _terms();
        uint256 before = token.balanceOf(CLIENT);
        _open(t, DEPOSIT);
        _later(100);
        _leave(t);
        uint256 graceEnds = time + t.closeGrace;
        _at(graceEnds - 1);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.GraceRunning.selector, graceEnds, graceEnds - 1));
        CHEATS.prank(RELAYER);
        escrow.finalize(_pack(t));
        _at(graceEnds);
        _expectEvent();
        emit ISessionEscrow.SessionClosed(_idOf(t), 0, 0, 0);
        CHEATS.prank(RELAYER);
        escrow.finalize(_pack(t));
        _equal(token.balanceOf(CLIENT), before, "everything returned");
        Session memory s = _session(t);
        _equal(uint256(s.status), uint256(Status.Closed), "status");
        _equal(s.closedAt, graceEnds, "closedAt");
        _equal(s.closingAt, 0, "closingAt");
    }

    function test_ESC7_the_advisor_settles_to_the_last_second_and_after_it_until_somebody_finalizes() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _later(10 minutes);
        _leave(t);
        _later(t.closeGrace - 1);
        _settle(t, 4);
        _later(1 days);
        _settle(t, 7);
        uint256 before = token.balanceOf(CLIENT);
        _expectEvent();
        emit ISessionEscrow.SessionClosed(_idOf(t), 0, 7_500_000, 0);
        escrow.finalize(_pack(t));
        _equal(_session(t).earned, 7_500_000, "earned");
        _equal(token.balanceOf(CLIENT), before + DEPOSIT - 7_500_000, "refund");
        _refuses(t, _settlement(t, 8), _notOpen(t));
    }

    function test_ESC7_the_advisor_may_close_while_grace_runs() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _leave(t);
        _close(t, 1);
        _equal(uint256(_session(t).status), uint256(Status.Closed), "status");
        _equal(_session(t).earned, 1_500_000, "earned");
    }

    function test_ESC7_finalize_returns_the_rest_to_a_balance_that_it_came_from() external {
        Terms memory t = _terms();
        _openFromBalance(t, DEPOSIT);
        _settle(t, 1);
        _leave(t);
        _later(t.closeGrace);
        escrow.finalize(_pack(t));
        _equal(escrow.balanceOf(address(token), CLIENT), 10_000e6 - 1_500_000, "balance");
    }

    function test_ESC7_nothing_is_finalized_that_nobody_asked_to_close() external {
        Terms memory t = _terms();
        CHEATS.expectRevert(_notOpen(t));
        escrow.finalize(_pack(t));
        _open(t, DEPOSIT);
        _later(30 days);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.NotClosing.selector, _idOf(t)));
        escrow.finalize(_pack(t));
    }

    function test_ESC7_money_of_a_finalized_session_goes_to_nobody_but_its_parties() external {
        Terms memory t = _sponsored();
        uint256 before = token.balanceOf(SPONSOR);
        _open(t, DEPOSIT);
        _settle(t, 1);
        _leave(t);
        _later(t.closeGrace);
        CHEATS.prank(STRANGER);
        escrow.finalize(_pack(t));
        _equal(token.balanceOf(SPONSOR), before - 1_500_000, "payer");
        _equal(escrow.balanceOf(address(token), ADVISOR), 1_350_000, "advisor");
        _equal(escrow.balanceOf(address(token), PLATFORM), 150_000, "platform");
        _equal(token.balanceOf(address(escrow)), 1_500_000, "nothing else left");
    }

    function test_ESC6_a_leaving_signature_counts_once() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        bytes memory signature = _signBy(CLIENT, _leaving(t));
        escrow.requestClose(_pack(t), CLIENT, signature);
        bytes memory why = abi.encodeWithSelector(IErrors.AlreadyClosing.selector, _idOf(t), time);
        CHEATS.expectRevert(why);
        escrow.requestClose(_pack(t), CLIENT, signature);
        _later(t.closeGrace);
        escrow.finalize(_pack(t));
        CHEATS.expectRevert(_notOpen(t));
        escrow.requestClose(_pack(t), CLIENT, signature);
        CHEATS.expectRevert(_notOpen(t));
        escrow.finalize(_pack(t));
    }
}
