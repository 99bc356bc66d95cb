// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Session, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Base, Terms} from "./Base.sol";

/// @dev A session is one word (docs/protocol.md). Here the highest bit of each number in it is set, next to which another
/// number begins, and every step leaves the neighbours alone.
contract TopBitsTest is Base {
    uint80 private constant MOST = type(uint80).max; // base units
    uint40 private constant LATE = 1 << 39; // unix seconds: the highest of 40 bits

    function test_ESC2_a_top_up_keeps_the_highest_bit_of_what_is_earned() external {
        token.mint(CLIENT, MOST);
        Terms memory t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice) = (0, MOST - 1);
        _open(t, MOST - 1);
        _settle(t, 1);
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), MOST);
        Session memory s = _session(t);
        _equal(s.earned, MOST - 1, "earned");
        _equal(s.deposit, MOST, "deposit");
        _settle(t, 2);
        _equal(_session(t).earned, MOST, "earned of the new deposit");
        _equal(escrow.balanceOf(address(token), ADVISOR) + escrow.balanceOf(address(token), PLATFORM), MOST, "shared");
    }

    function test_ESC2_every_step_keeps_the_highest_bit_of_the_time_of_opening() external {
        _at(LATE);
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _wasOpened(t, Status.Open);
        _later(60);
        _settle(t, 2);
        _wasOpened(t, Status.Open);
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), DEPOSIT + 1);
        _wasOpened(t, Status.Open);
        _leave(t);
        _wasOpened(t, Status.Closing);
        _close(t, 2);
        _wasOpened(t, Status.Closed);
        _equal(_session(t).closedAt, LATE + 60, "closedAt");
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 5, "", "");
        _wasOpened(t, Status.Closed);
    }

    function _wasOpened(Terms memory t, Status status) private view {
        Session memory s = _session(t);
        _equal(s.openedAt, LATE, "openedAt");
        _equal(uint256(s.status), uint256(status), "status");
    }
}
