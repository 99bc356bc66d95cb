// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {Base, Terms} from "./Base.sol";

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
}
