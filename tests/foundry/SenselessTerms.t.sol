// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors, Party} from "../../contracts/interfaces/IErrors.sol";
import {Opening, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {PackedTerms} from "../../contracts/libraries/Terms.sol";
import {Authorization} from "../../contracts/libraries/Tokens.sol";
import {Base, Terms} from "./Base.sol";

/// @dev Each kind of senseless terms, refused by every way to open for the same reason, and the last sensible ones
/// beside them. Also: quotes in time, and the smallest deposit.
contract SenselessTermsTest is Base {
    uint256 private constant HIGHEST = type(uint32).max;

    function setUp() public override {
        super.setUp();
        _stock(CLIENT);
        _stock(SPONSOR);
    }

    // ------------------------------------------------------------------ the tariff

    function test_terms_that_never_cost_anything_are_refused() external {
        Terms memory t = _terms();
        (t.tariff.connectFee, t.tariff.unitPrice) = (0, 0);
        _refusesTerms(t, abi.encodeWithSelector(IErrors.NothingToPay.selector));
        t.tariff.includedUnits = uint32(HIGHEST);
        t.tariff.unitPrice = 1; // never reached
        _refusesTerms(t, abi.encodeWithSelector(IErrors.NothingToPay.selector));
    }

    function test_a_step_that_costs_nothing_after_units_that_cost_nothing_is_refused() external {
        Terms memory t = _terms();
        (t.tariff.connectFee, t.tariff.unitPrice, t.tariff.stepUnits) = (0, 0, 5);
        _refusesTerms(t, abi.encodeWithSelector(IErrors.NothingToPay.selector));
        t.tariff.stepPrice = 1;
        t.tariff.maxUnits = 5; // the meter stops before the step
        _refusesTerms(t, abi.encodeWithSelector(IErrors.NothingToPay.selector));
        t.tariff.maxUnits = 6;
        _opensTerms(t, 1);
    }

    function test_a_step_within_the_free_units_is_refused() external {
        Terms memory t = _terms();
        (t.tariff.includedUnits, t.tariff.stepUnits, t.tariff.stepPrice) = (5, 5, 1);
        _refusesTerms(t, abi.encodeWithSelector(IErrors.StepInsideFreeUnits.selector, 5, 5));
        t.tariff.stepUnits = 1;
        _refusesTerms(t, abi.encodeWithSelector(IErrors.StepInsideFreeUnits.selector, 1, 5));
        t.tariff.stepUnits = 6;
        _opensTerms(t, DEPOSIT);
    }

    function test_a_step_price_without_a_step_is_refused() external {
        Terms memory t = _terms();
        t.tariff.stepPrice = 3;
        _refusesTerms(t, abi.encodeWithSelector(IErrors.StepPriceWithoutStep.selector, 3));
    }

    function test_a_cap_within_the_free_units_needs_a_connect_fee() external {
        Terms memory t = _terms();
        (t.tariff.connectFee, t.tariff.includedUnits, t.tariff.maxUnits) = (0, 10, 10);
        _refusesTerms(t, abi.encodeWithSelector(IErrors.CapWithinFreeUnits.selector, 10, 10));
        t.tariff.maxUnits = 11;
        _opensTerms(t, 1e6);
        (t.tariff.connectFee, t.tariff.maxUnits) = (5, 10);
        _opensTerms(t, 5);
    }

    function test_a_unit_longer_than_a_day_is_refused() external {
        Terms memory t = _terms();
        t.tariff.unitSeconds = 86_401;
        _refusesTerms(t, abi.encodeWithSelector(IErrors.UnitTooLong.selector, 86_401, 86_400));
        t.tariff.unitSeconds = 86_400;
        _opensTerms(t, DEPOSIT);
    }

    // ------------------------------------------------------------------ the platform's share

    function test_a_share_above_the_whole_is_refused() external {
        Terms memory t = _terms();
        t.feeBps = 10_001;
        _refusesTerms(t, abi.encodeWithSelector(IErrors.ShareTooHigh.selector, 10_001, 10_000));
        t.feeBps = 10_000;
        _opensTerms(t, DEPOSIT);
    }

    function test_a_share_for_nobody_is_refused() external {
        Terms memory t = _terms();
        t.feeRecipient = address(0);
        _refusesTerms(t, abi.encodeWithSelector(IErrors.ShareWithoutRecipient.selector, 1_000));
        t.feeBps = 0;
        _opensTerms(t, DEPOSIT);
    }

    // ------------------------------------------------------------------ times

    function test_a_grace_period_outside_its_bounds_is_refused() external {
        Terms memory t = _terms();
        t.closeGrace = 599;
        _refusesTerms(t, abi.encodeWithSelector(IErrors.GraceOutOfRange.selector, 599, 600, 604_800));
        t.closeGrace = 604_801;
        _refusesTerms(t, abi.encodeWithSelector(IErrors.GraceOutOfRange.selector, 604_801, 600, 604_800));
        t.closeGrace = 600;
        _opensTerms(t, DEPOSIT);
        t.closeGrace = 604_800;
        _opensTerms(t, DEPOSIT);
    }

    function test_a_quote_is_good_until_the_second_before_openBefore() external {
        Terms memory t = _terms();
        t.openBefore = uint40(time);
        _refusesTerms(t, abi.encodeWithSelector(IErrors.QuoteExpired.selector, time, time));
        t.openBefore = uint40(time - 1);
        _refusesTerms(t, abi.encodeWithSelector(IErrors.QuoteExpired.selector, time - 1, time));
        t.openBefore = uint40(time + 1);
        _opensTerms(t, DEPOSIT);
    }

    function test_a_quote_more_than_30_days_ahead_is_refused() external {
        Terms memory t = _terms();
        t.openBefore = uint40(time + 30 days + 1);
        _refusesTerms(t, abi.encodeWithSelector(IErrors.QuoteTooFarAhead.selector, time + 30 days + 1, time + 30 days));
        t.openBefore = uint40(time + 30 days);
        _opensTerms(t, DEPOSIT);
    }

    function test_the_last_values_within_each_bound_open() external {
        Terms memory t = _terms();
        t.tariff.unitSeconds = 86_399;
        _opensTerms(t, DEPOSIT);
        t = _terms();
        t.feeBps = 9_999;
        _opensTerms(t, DEPOSIT);
        t.feeBps = 1;
        _opensTerms(t, DEPOSIT);
        t.closeGrace = 601;
        _opensTerms(t, DEPOSIT);
        t.closeGrace = 604_799;
        _opensTerms(t, DEPOSIT);
        t.openBefore = uint40(time + 30 days - 1);
        _opensTerms(t, DEPOSIT);
        t.openBefore = uint40(time + 2);
        _opensTerms(t, DEPOSIT);
    }

    // ------------------------------------------------------------------ parties

    function test_a_client_who_is_nobody_the_advisor_or_the_escrow_is_refused() external {
        Terms memory t = _sponsored();
        t.client = address(0);
        _refusesTerms(t, _invalid(Party.Client, address(0)));
        t.client = ADVISOR;
        _refusesTerms(t, _invalid(Party.Client, ADVISOR));
        t.client = address(escrow);
        _refusesTerms(t, _invalid(Party.Client, address(escrow)));
    }

    function test_a_payer_who_is_the_escrow_is_refused() external {
        Terms memory t = _terms();
        t.payer = address(escrow);
        _refusesTerms(t, _invalid(Party.Payer, address(escrow)));
    }

    function test_an_advisor_who_is_nobody_or_the_escrow_is_refused() external {
        Terms memory t = _terms();
        t.advisor = address(0);
        _refusesTerms(t, _invalid(Party.Advisor, address(0)));
        t.advisor = address(escrow);
        _refusesTerms(t, _invalid(Party.Advisor, address(escrow)));
    }

    function test_a_meter_key_that_is_nobodys_the_advisors_or_the_escrows_is_refused() external {
        Terms memory t = _terms();
        t.meterKey = address(0);
        _refusesTerms(t, _invalid(Party.MeterKey, address(0)));
        t.meterKey = ADVISOR;
        _refusesTerms(t, _invalid(Party.MeterKey, ADVISOR));
        t.meterKey = address(escrow);
        _refusesTerms(t, _invalid(Party.MeterKey, address(escrow)));
        t.meterKey = CLIENT; // a client may meter with their own key
        _opensTerms(t, DEPOSIT);
    }

    function test_the_escrow_is_neither_token_nor_recipient_of_a_share() external {
        Terms memory t = _terms();
        t.token = address(escrow);
        _refusesTerms(t, _invalid(Party.Token, address(escrow)));
        t = _terms();
        t.feeRecipient = address(escrow);
        _refusesTerms(t, _invalid(Party.FeeRecipient, address(escrow)));
    }

    function test_a_payer_who_is_the_client_is_written_as_zero() external {
        Terms memory t = _terms();
        Opening memory o = _opening(t, DEPOSIT);
        _equal(bytes20(o.terms.payer), 0, "packed");
        o.terms.payer |= bytes20(t.client);
        _refuses(t, o, abi.encodeWithSelector(IErrors.TermsNotCanonical.selector, o.terms.payer, o.terms.advisor));
        require(_session(t).status == Status.None, "opened");
        _open(t, DEPOSIT);
        _equal(_session(t).deposit, DEPOSIT, "opened by the client");
    }

    function test_bits_that_carry_nothing_must_be_zero() external {
        Terms memory t = _terms();
        for (uint256 i = 0; i < 2; ++i) {
            Opening memory o = _opening(t, DEPOSIT);
            if (i == 0) o.terms.payer |= bytes32(uint256(1));
            else o.terms.advisor |= bytes32(uint256(1) << 15);
            _refuses(t, o, abi.encodeWithSelector(IErrors.TermsNotCanonical.selector, o.terms.payer, o.terms.advisor));
        }
    }

    // ------------------------------------------------------------------ the deposit

    function test_the_smallest_deposit_covers_the_connect_fee_and_the_first_unit_that_costs_something() external {
        Terms memory t = _terms();
        _refuses(
            t, _opening(t, 1_499_999), abi.encodeWithSelector(IErrors.DepositTooSmall.selector, 1_500_000, 1_499_999)
        );
        _opensTerms(t, 1_500_000);
        t.tariff.includedUnits = 3;
        _refuses(
            t, _opening(t, 1_499_999), abi.encodeWithSelector(IErrors.DepositTooSmall.selector, 1_500_000, 1_499_999)
        );
        _opensTerms(t, 1_500_000);
    }

    function test_the_smallest_deposit_of_free_units_before_a_step_is_the_steps_price() external {
        Terms memory t = _terms();
        (t.tariff.connectFee, t.tariff.unitPrice, t.tariff.stepUnits, t.tariff.stepPrice) = (0, 0, 5, 70);
        _refuses(t, _opening(t, 69), abi.encodeWithSelector(IErrors.DepositTooSmall.selector, 70, 69));
        _opensTerms(t, 70);
    }

    function test_ESC19_whatever_terms_open_are_settled_in_full(Terms memory random, uint80 deposit, uint256 seed)
        external
    {
        Terms memory t = _sensible(random, seed);
        // The smallest deposit that opens is named by the refusal.
        bytes memory why = _refusalOf(t, 0);
        if (bytes4(why) != IErrors.DepositTooSmall.selector) {
            require(
                bytes4(why) == IErrors.NothingToPay.selector || bytes4(why) == IErrors.CapWithinFreeUnits.selector,
                "refused for a reason that was ruled out"
            );
            return;
        }
        uint256 needed;
        assembly {
            needed := mload(add(why, 36))
        }
        if (needed > type(uint80).max) return;
        if (deposit < needed) deposit = uint80(needed);
        token.mint(CLIENT, deposit);
        _open(t, deposit);
        if (t.tariff.unitSeconds != 0) _later(uint256(t.tariff.unitSeconds) * HIGHEST);
        _settle(t, uint32(HIGHEST));
        uint256 fee = escrow.feeOf(_pack(t), uint32(HIGHEST));
        _equal(_session(t).earned, fee < deposit ? fee : deposit, "earned");
        _close(t, 0);
    }

    // ------------------------------------------------------------------ helpers

    function _invalid(Party party, address account) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.InvalidParty.selector, party, account);
    }

    /// @dev Parties, times and share as in `_terms`, the tariff at random within its bounds.
    function _sensible(Terms memory random, uint256 seed) private view returns (Terms memory t) {
        t = _terms();
        t.tariff = random.tariff;
        t.tariff.unitSeconds %= 86_401;
        t.feeBps = random.feeBps % 10_001;
        t.salt = random.salt;
        if (seed & 1 == 0) t.tariff.connectFee = 0;
        if (seed & 2 == 0) t.tariff.unitPrice = 0;
        if (seed & 4 == 0) t.tariff.includedUnits = 0;
        if (seed & 8 == 0) t.tariff.maxUnits = 0;
        if (seed & 16 == 0 || t.tariff.stepUnits <= t.tariff.includedUnits) t.tariff.stepUnits = 0;
        if (t.tariff.stepUnits == 0) t.tariff.stepPrice = 0;
    }

    function _refusalOf(Terms memory t, uint80 deposit) private returns (bytes memory) {
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        CHEATS.prank(t.payer);
        try escrow.open(_pack(t), deposit, quote, "") returns (bytes32) {
            return "";
        } catch (bytes memory why) {
            return why;
        }
    }

    function _refusesTerms(Terms memory t, bytes memory why) private {
        _refuses(t, _opening(t, DEPOSIT), why);
        (bytes memory quote, bytes memory consent) = (_signBy(t.advisor, _hashOf(t)), _signBy(t.client, _hashOf(t)));
        CHEATS.expectRevert(why);
        CHEATS.prank(t.payer);
        escrow.open(_pack(t), DEPOSIT, quote, consent);
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        CHEATS.expectRevert(why);
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, consent);
        _equal(uint256(_session(t).status), uint256(Status.None), "status");
    }

    function _opensTerms(Terms memory t, uint80 deposit) private {
        _openFromBalance(t, deposit);
        _equal(uint256(_session(t).status), uint256(Status.Open), "status");
    }
}
