// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {ISessionEscrow, Session, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Base, Terms} from "./Base.sol";

/// @dev Times have 40 bits, to the year 36812. What happens there matters to nobody, but it is known: nothing new begins,
/// and no money is stuck.
contract LastSecondsTest is Base {
    uint256 private constant LAST = type(uint40).max;

    function _panic() private pure returns (bytes memory) {
        return abi.encodeWithSignature("Panic(uint256)", 0x11); // left the range of its type
    }

    function _openAt(uint256 when, uint96 salt) private returns (Terms memory t) {
        _at(when);
        t = _interactions();
        (t.salt, t.openBefore) = (salt, uint40(LAST));
        _open(t, DEPOSIT);
    }

    function test_a_session_opens_one_second_before_40_bits_of_time_end_and_none_in_the_last() external {
        Terms memory t = _openAt(LAST - 1, 1);
        _equal(_session(t).openedAt, LAST - 1, "openedAt");
        t.salt = 2;
        _stock(CLIENT);
        _at(LAST);
        _refuses(t, _opening(t, DEPOSIT), abi.encodeWithSelector(IErrors.QuoteExpired.selector, LAST, LAST));
    }

    function test_a_session_is_left_as_long_as_the_end_of_its_grace_fits() external {
        Terms memory t = _openAt(LAST - 1 hours, 1);
        Terms memory late = _openAt(LAST - 1 hours, 2);
        _expectEvent();
        emit ISessionEscrow.CloseRequested(_idOf(t), CLIENT, uint40(LAST));
        _leave(t);
        _later(1);
        CHEATS.expectRevert(_panic());
        CHEATS.prank(CLIENT);
        escrow.requestClose(_pack(late), CLIENT, "");
        _equal(uint256(_session(late).status), uint256(Status.Open), "not left");

        _at(LAST - 1);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.GraceRunning.selector, LAST, LAST - 1));
        escrow.finalize(_pack(t));
        _at(LAST);
        escrow.finalize(_pack(t));
        _equal(_session(t).closedAt, LAST, "closedAt");
    }

    function test_a_session_is_rated_as_long_as_the_end_of_its_window_fits() external {
        Terms memory t = _interactions();
        Terms memory late = _interactions();
        late.salt = 8;
        _open(t, DEPOSIT);
        _open(late, DEPOSIT);
        _at(LAST - 30 days);
        _close(t, 1);
        _later(1);
        _close(late, 1);
        _at(LAST);
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 5, "", "");
        _equal(_session(t).score, 5, "score");
        CHEATS.expectRevert(_panic());
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(late), 5, "", "");
    }

    function test_money_leaves_when_40_bits_of_time_are_over_and_only_the_dates_are_wrong() external {
        Terms memory t = _openAt(LAST - 1, 1);
        uint256 before = token.balanceOf(CLIENT);
        _at(LAST + 1);
        _settle(t, 1);
        _close(t, 2);
        Session memory s = _session(t);
        _equal(uint256(s.status), uint256(Status.Closed), "status");
        _equal(s.earned, 2_500_000, "earned");
        _equal(s.closedAt, 0, "the lower 40 bits");
        _equal(token.balanceOf(CLIENT), before + DEPOSIT - 2_500_000, "refund");
        CHEATS.prank(ADVISOR);
        escrow.withdraw(address(token), 2_250_000, ADVISOR);
        _equal(token.balanceOf(ADVISOR), 2_250_000, "paid");
    }

    function test_a_session_that_was_left_in_time_is_finalized_when_40_bits_of_time_are_over() external {
        uint256 before = token.balanceOf(CLIENT);
        Terms memory t = _openAt(LAST - 1 hours, 1);
        _leave(t);
        _at(LAST + 1);
        escrow.finalize(_pack(t));
        _equal(uint256(_session(t).status), uint256(Status.Closed), "status");
        _equal(token.balanceOf(CLIENT), before, "everything returned");
    }

    function test_a_session_that_is_left_when_40_bits_of_time_are_over_has_no_grace() external {
        Terms memory t = _openAt(LAST - 1, 1);
        uint256 before = token.balanceOf(CLIENT);
        _at(LAST + 1); // its lower 40 bits are zero: nobody asked
        _leave(t);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.NotClosing.selector, _idOf(t)));
        escrow.finalize(_pack(t));
        _later(1);
        _leave(t);
        escrow.finalize(_pack(t));
        _equal(token.balanceOf(CLIENT), before + DEPOSIT, "everything returned");
    }
}
