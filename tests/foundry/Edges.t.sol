// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {Closing, ISessionEscrow, Opening, Settlement} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Base, Cheats, Terms} from "./Base.sol";

/// @dev The exact numbers at which something begins or ends.
contract EdgesTest is Base {
    uint32 private constant LAST = type(uint32).max; // no voucher has more units
    uint80 private constant PRICE = 7;

    // ------------------------------------------------------------------ the first unit that costs something

    function test_the_last_unit_that_there_can_be_may_be_the_only_one_that_costs() external {
        Terms memory t = _free();
        (t.tariff.unitPrice, t.tariff.includedUnits) = (PRICE, LAST - 1);
        _opensFrom(t, PRICE);
        t.tariff.includedUnits = LAST;
        _refuses(t, _opening(t, DEPOSIT), abi.encodeWithSelector(IErrors.NothingToPay.selector));
    }

    function test_the_step_may_come_before_the_last_unit_that_there_can_be() external {
        Terms memory t = _free();
        (t.tariff.stepPrice, t.tariff.stepUnits) = (PRICE, LAST - 1);
        _opensFrom(t, PRICE);
        t.tariff.stepUnits = LAST;
        _refuses(t, _opening(t, DEPOSIT), abi.encodeWithSelector(IErrors.NothingToPay.selector));
    }

    function test_the_step_may_come_after_the_first_unit() external {
        Terms memory t = _free();
        (t.tariff.stepPrice, t.tariff.stepUnits) = (PRICE, 1);
        _opensFrom(t, PRICE);
    }

    function test_a_cap_below_the_free_units_is_named_as_what_is_wrong() external {
        Terms memory t = _free();
        (t.tariff.unitPrice, t.tariff.maxUnits, t.tariff.includedUnits) = (PRICE, 2, 5);
        _refuses(t, _opening(t, DEPOSIT), abi.encodeWithSelector(IErrors.CapWithinFreeUnits.selector, 2, 5));
    }

    /// @dev Nothing costs anything yet.
    function _free() private view returns (Terms memory t) {
        t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice) = (0, 0);
    }

    function _opensFrom(Terms memory t, uint80 needed) private {
        _stock(t.payer);
        _refuses(
            t, _opening(t, needed - 1), abi.encodeWithSelector(IErrors.DepositTooSmall.selector, needed, needed - 1)
        );
        _openFromBalance(t, needed);
        _equal(_session(t).deposit, needed, "deposit");
    }

    // ------------------------------------------------------------------ two reasons at once

    function test_ESC3_a_voucher_that_the_meter_did_not_sign_is_refused_for_that_however_many_units_it_has() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        Settlement memory s = Settlement(_pack(t), _voucherBy(STRANGER_KEY, t, 2)); // and a minute has not passed
        _refuses(t, s, _wrong(t.meterKey, STRANGER));
    }

    // ------------------------------------------------------------------ one log for each row of a batch

    function test_ESC16_a_batch_tells_of_the_rows_that_it_skipped_and_of_no_others() external {
        Terms[3] memory t;
        for (uint256 i = 0; i < 3; ++i) {
            t[i] = _interactions();
            t[i].salt = uint96(i);
        }
        _stock(CLIENT);
        _open(t[1], DEPOSIT); // so that each batch has a bad row in its middle

        Opening[] memory openings = new Opening[](3);
        for (uint256 i = 0; i < 3; ++i) {
            openings[i] = _opening(t[i], DEPOSIT);
        }
        CHEATS.recordLogs();
        escrow.openBatch(openings);
        _told(ISessionEscrow.SessionOpened.selector);

        _settle(t[1], 2);
        Settlement[] memory settlements = new Settlement[](3);
        for (uint256 i = 0; i < 3; ++i) {
            settlements[i] = _settlement(t[i], 2);
        }
        CHEATS.recordLogs();
        escrow.settleBatch(settlements);
        _told(ISessionEscrow.Settled.selector);

        _close(t[1], 2);
        Closing[] memory closings = new Closing[](3);
        for (uint256 i = 0; i < 3; ++i) {
            closings[i] = _closing(t[i], 2);
        }
        CHEATS.recordLogs();
        escrow.closeBatch(closings);
        _told(ISessionEscrow.SessionClosed.selector);
    }

    /// @dev The escrow's logs: done, skipped, done.
    function _told(bytes32 done) private {
        Cheats.Log[] memory logs = CHEATS.getRecordedLogs();
        uint256 rows;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter != address(escrow)) continue;
            bytes32 expected = rows == 1 ? ISessionEscrow.RowSkipped.selector : done;
            _equal(logs[i].topics[0], expected, "event");
            ++rows;
        }
        _equal(rows, 3, "rows");
    }
}
