// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Slot} from "../../contracts/libraries/Slot.sol";
import {Base, Tariff, Terms} from "./Base.sol";
import {SlotHarness, TermsHarness} from "./mocks/Harness.sol";

/// @dev Properties of terms: packing, hashing, pricing; and of the session's slot.
contract TermsTest is Base {
    TermsHarness private terms;
    SlotHarness private slots;

    function setUp() public override {
        super.setUp();
        terms = new TermsHarness();
        slots = new SlotHarness();
    }

    // ------------------------------------------------------------------ packing and hashing

    function test_packed_terms_unpack_to_what_was_packed(Terms memory t, bool sponsored) external view {
        if (!sponsored || t.payer == address(0)) t.payer = t.client;
        _equal(abi.encode(terms.unpack(_pack(t))), abi.encode(t), "terms");
    }

    function test_the_hash_is_eip712s_of_the_readable_terms(Terms memory t, bool sponsored) external view {
        if (!sponsored || t.payer == address(0)) t.payer = t.client;
        _equal(terms.hash(_pack(t)), _hashOf(t), "hash");
        _equal(escrow.sessionIdOf(_pack(t)), _idOf(t), "id");
    }

    function test_the_type_hashes_are_those_of_the_type_strings() external view {
        (bytes32 tariff, bytes32 whole) = terms.typeHashes();
        _equal(tariff, keccak256(bytes(TARIFF_TYPE)), "Tariff");
        _equal(whole, keccak256(bytes(string.concat(TERMS_TYPE, TARIFF_TYPE))), "Terms");
    }

    function test_every_field_of_the_terms_changes_the_id() external view {
        bytes memory plain = abi.encode(_terms()); // 18 static words
        _equal(plain.length, 18 * 32, "fields");
        for (uint256 i = 0; i < 18; ++i) {
            bytes memory changed = abi.encode(_terms());
            changed[i * 32 + 31] ^= 0x01;
            Terms memory other = abi.decode(changed, (Terms));
            require(escrow.sessionIdOf(_pack(other)) != escrow.sessionIdOf(_pack(_terms())), "same id");
        }
    }

    // ------------------------------------------------------------------ the fee

    /// @dev Unit by unit, as people would count.
    function _counted(Tariff memory a, uint32 units) private pure returns (uint256 fee) {
        if (units == 0) return 0;
        fee = a.connectFee;
        for (uint256 unit = 1; unit <= units; ++unit) {
            if (a.maxUnits != 0 && unit > a.maxUnits) break;
            if (unit <= a.includedUnits) continue;
            fee += a.stepUnits != 0 && unit > a.stepUnits ? a.stepPrice : a.unitPrice;
        }
    }

    /// @dev The design's formula: connectFee + unitPrice * max(0, min(u,S) - I) + stepPrice * max(0, u - S).
    function _formula(Tariff memory a, uint32 units) private pure returns (uint256) {
        if (units == 0) return 0;
        int256 infinity = type(int256).max;
        int256 s = a.stepUnits == 0 ? infinity : int256(uint256(a.stepUnits));
        int256 cap = a.maxUnits == 0 ? infinity : int256(uint256(a.maxUnits));
        int256 u = _min(int256(uint256(units)), cap);
        int256 first = _max(0, _min(u, s) - int256(uint256(a.includedUnits)));
        int256 second = _max(0, u - s);
        return uint256(
            int256(uint256(a.connectFee)) + int256(uint256(a.unitPrice)) * first + int256(uint256(a.stepPrice)) * second
        );
    }

    function _min(int256 a, int256 b) private pure returns (int256) {
        return a < b ? a : b;
    }

    function _max(int256 a, int256 b) private pure returns (int256) {
        return a > b ? a : b;
    }

    function test_ESC4_the_fee_is_what_the_tariffs_formula_gives_and_never_reverts(Tariff memory a, uint32 units)
        external
        view
    {
        Terms memory t = _terms();
        t.tariff = a;
        _equal(terms.fee(_pack(t), units), _formula(a, units), "fee");
        _equal(escrow.feeOf(_pack(t), units), _formula(a, units), "feeOf");
    }

    function test_ESC4_the_fee_is_the_sum_of_its_units(
        uint80[3] memory prices,
        uint8 included,
        uint8 step,
        uint8 cap,
        uint8 units
    ) external view {
        if (step != 0 && step <= included) step = 0; // senseless
        if (step == 0) prices[2] = 0;
        Terms memory t = _terms();
        t.tariff = Tariff(prices[0], prices[1], 60, included, step, prices[2], cap);
        _equal(terms.fee(_pack(t), units), _counted(t.tariff, units), "fee");
    }

    function test_the_fee_never_falls_with_more_units(Tariff memory a, uint32 fewer, uint32 more) external view {
        if (fewer > more) (fewer, more) = (more, fewer);
        Terms memory t = _terms();
        t.tariff = a;
        if (a.stepUnits != 0 && a.stepUnits <= a.includedUnits) return; // senseless
        require(terms.fee(_pack(t), fewer) <= terms.fee(_pack(t), more), "falls");
    }

    function test_the_fee_of_the_dearest_tariff_does_not_overflow() external view {
        uint80 most = type(uint80).max;
        Terms memory t = _terms();
        t.tariff = Tariff(most, most, 0, 0, 0, 0, 0);
        _equal(terms.fee(_pack(t), type(uint32).max), uint256(most) * (uint256(type(uint32).max) + 1), "fee");
    }

    function test_step_free_units_and_cap_begin_at_their_exact_units() external view {
        Terms memory t = _terms();
        t.tariff = Tariff({
            connectFee: 7, unitPrice: 100, unitSeconds: 0, includedUnits: 2, stepUnits: 5, stepPrice: 10, maxUnits: 8
        });
        uint16[11] memory fees = [0, 7, 7, 107, 207, 307, 317, 327, 337, 337, 337];
        for (uint32 units = 0; units < 11; ++units) {
            _equal(terms.fee(_pack(t), units), fees[units], "fee");
        }
    }

    function test_ESC19_no_smallest_deposit_means_that_nothing_ever_costs_anything(Tariff memory a) external view {
        _smallestIsRight(a);
    }

    function test_ESC19_no_smallest_deposit_means_the_same_for_small_numbers(
        uint8[3] memory prices,
        uint8[3] memory bounds
    ) external view {
        // Few different values, so that equal bounds and zero prices come up often.
        _smallestIsRight(
            Tariff(prices[0] % 2, prices[1] % 2, 60, bounds[0] % 4, bounds[1] % 4, prices[2] % 2, bounds[2] % 4)
        );
    }

    function _smallestIsRight(Tariff memory a) private view {
        if (a.stepUnits != 0 && a.stepUnits <= a.includedUnits) return; // senseless
        if (a.stepUnits == 0) a.stepPrice = 0;
        Terms memory t = _terms();
        t.tariff = a;
        uint256 smallest = terms.smallestDeposit(_pack(t));
        uint256 highest = terms.fee(_pack(t), type(uint32).max);
        require((smallest == 0) == (highest == 0), "zero exactly if nothing costs anything");
        require(smallest <= highest, "never more than could be earned");
        if (smallest == 0) return;
        // It is the fee of the first unit that costs something beside the connect fee, if there is one.
        if (highest == a.connectFee) _equal(smallest, a.connectFee, "only the connect fee");
        else if (a.unitPrice != 0) _equal(smallest, _formula(a, a.includedUnits + 1), "first paid unit");
        else _equal(smallest, _formula(a, a.stepUnits + 1), "first unit after the step");
    }

    // ------------------------------------------------------------------ the slot

    function test_ESC2_a_slot_keeps_everything_that_a_step_does_not_change(
        uint80 deposit,
        uint80 raised,
        uint80 earned,
        uint40[3] memory times,
        bool fromBalance,
        uint8 score
    ) external view {
        if (times[0] == 0) times[0] = 1;
        (Slot opened, Slot closing, Slot closed, Slot rated) =
            slots.play(deposit, raised, earned, times, fromBalance, score);
        _slotIs(opened, deposit, 0, times[0], 0, fromBalance);
        require(opened.isOpen() && !opened.wasClosed() && opened.score() == 0 && !opened.answered(), "opened");
        _slotIs(closing, raised, earned, times[0], times[1], fromBalance);
        require(closing.isOpen() && !closing.wasClosed(), "closing");
        _slotIs(closed, raised, earned, times[0], times[2], fromBalance);
        require(!closed.isOpen() && closed.wasClosed() && !closed.answered(), "closed");
        _slotIs(rated, raised, earned, times[0], times[2], fromBalance);
        require(rated.wasClosed() && rated.score() == score && rated.answered(), "rated");
    }

    function test_a_revoked_slot_was_never_open(uint40 when) external view {
        Slot s = slots.revoked(when);
        require(!s.isEmpty() && !s.isOpen() && !s.wasClosed() && s.closingAt() == when, "revoked");
    }

    function _slotIs(Slot s, uint80 deposit, uint80 earned, uint40 openedAt, uint40 closingAt, bool fromBalance)
        private
        pure
    {
        _equal(s.deposit(), deposit, "deposit");
        _equal(s.earned(), earned, "earned");
        _equal(s.openedAt(), openedAt, "openedAt");
        _equal(s.closingAt(), closingAt, "closingAt");
        require(s.fromBalance() == fromBalance, "fromBalance");
    }
}
