// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {PackedTerms} from "../../../contracts/libraries/Terms.sol";
import {TermsHarness} from "../mocks/Harness.sol";
import {Proofs} from "./Proofs.sol";

/// @dev The fee of any tariff, senseless ones included, for any reading (ESC-4), as the shipped escrow computes it. That
/// it never falls with more units follows from three proofs: it is a sum of so many units at each price, neither number
/// falls, and so the sum does not.
contract FeeProofs is Proofs {
    TermsHarness private library_;

    function setUp() public override {
        super.setUp();
        library_ = new TermsHarness();
    }

    function _feeOf(PackedTerms calldata terms, uint32 units) private view returns (uint256) {
        (bool done, bytes memory fee) = address(escrow).staticcall(abi.encodeCall(escrow.feeOf, (terms, units)));
        assert(done);
        return abi.decode(fee, (uint256));
    }

    /// @dev How many units are paid at the first price, and how many at the second.
    function _paid(PackedTerms calldata t, uint32 units) private pure returns (uint256 first, uint256 second) {
        unchecked {
            uint256 used = t.maxUnits() != 0 && units > t.maxUnits() ? t.maxUnits() : units;
            uint256 upToStep = t.stepUnits() != 0 && used > t.stepUnits() ? t.stepUnits() : used;
            first = upToStep > t.includedUnits() ? upToStep - t.includedUnits() : 0;
            second = used - upToStep;
        }
    }

    function _sum(uint80 connectFee, uint80 price, uint256 first, uint80 stepPrice, uint256 second)
        private
        pure
        returns (uint256)
    {
        unchecked {
            return connectFee + price * first + stepPrice * second;
        }
    }

    function check_ESC4_no_units_cost_nothing(PackedTerms calldata t) external view {
        assert(_feeOf(t, 0) == 0);
    }

    function check_ESC4_the_fee_is_the_formulas_and_never_reverts(PackedTerms calldata t, uint32 units) external view {
        if (units == 0) return;
        (uint256 first, uint256 second) = _paid(t, units);
        assert(first <= type(uint32).max && second <= type(uint32).max);
        assert(_feeOf(t, units) == _sum(t.connectFee(), t.unitPrice(), first, t.stepPrice(), second));
    }

    function check_ESC4_more_units_are_never_paid_as_fewer(PackedTerms calldata t, uint32 fewer, uint32 more)
        external
        pure
    {
        if (fewer > more) return;
        (uint256 first, uint256 second) = _paid(t, fewer);
        (uint256 moreFirst, uint256 moreSecond) = _paid(t, more);
        assert(first <= moreFirst && second <= moreSecond);
    }

    function check_ESC4_a_sum_of_more_units_is_never_lower_and_never_overflows(
        uint80[3] calldata prices,
        uint32 first,
        uint32 second,
        uint32 moreFirst,
        uint32 moreSecond
    ) external pure {
        unchecked {
            uint256 fewer = _sum(prices[0], prices[1], first, prices[2], second);
            uint256 more =
                _sum(prices[0], prices[1], uint256(first) + moreFirst, prices[2], uint256(second) + moreSecond);
            assert(fewer <= more);
            assert(more < 1 << 115);
        }
    }

    /// @dev The connect fee and the first unit that costs something, in tariffs as they open: with a step beyond the free
    /// units, or without a price for it (Terms.sol).
    function check_ESC19_the_smallest_deposit_is_the_fee_at_the_first_paid_unit(PackedTerms calldata t) external view {
        if (t.stepUnits() == 0 ? t.stepPrice() != 0 : t.stepUnits() <= t.includedUnits()) return;
        uint256 smallest = library_.smallestDeposit(t);
        uint32 cap = t.maxUnits() == 0 ? type(uint32).max : t.maxUnits();
        if (t.unitPrice() != 0 && t.includedUnits() < cap) {
            (uint256 first, uint256 second) = _paid(t, t.includedUnits() + 1);
            assert(first == 1 && second == 0);
            assert(smallest == uint256(t.connectFee()) + t.unitPrice());
        } else if (t.stepPrice() != 0 && t.stepUnits() < cap) {
            (, uint256 second) = _paid(t, t.stepUnits() + 1);
            assert(t.unitPrice() == 0 && second == 1);
            assert(smallest == uint256(t.connectFee()) + t.stepPrice());
        } else {
            (uint256 first, uint256 second) = _paid(t, type(uint32).max);
            assert((first == 0 || t.unitPrice() == 0) && (second == 0 || t.stepPrice() == 0));
            assert(smallest == t.connectFee());
        }
    }
}
