// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {
    Closing,
    ISessionEscrow,
    Opening,
    Session,
    Settlement,
    Status
} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../contracts/libraries/Tokens.sol";
import {Base, Terms} from "./Base.sol";

/// @dev Every exact amount and every exact unit that decides something, with the one below it and the one above it.
contract LimitsTest is Base {
    uint80 private constant MOST = type(uint80).max; // base units
    uint32 private constant LAST_UNIT = type(uint32).max;

    function _isEarned(Terms memory t, uint256 earned) private view {
        _equal(_session(t).earned, earned, "earned");
    }

    function _isOf(address account, uint256 balance) private view {
        _equal(escrow.balanceOf(address(token), account), balance, "balance");
    }

    function _balanceOf(uint256 amount) private {
        CHEATS.prank(CLIENT);
        escrow.deposit(address(token), CLIENT, amount);
    }

    // ------------------------------------------------------------------ the smallest deposit

    function test_the_smallest_deposit_opens_from_a_wallet_and_one_less_does_not() external {
        uint80 needed = 1_500_000;
        for (uint80 i = 0; i < 3; ++i) {
            Terms memory t = _terms();
            t.salt = i;
            uint80 given = needed - 1 + i;
            bytes memory quote = _signBy(ADVISOR, _hashOf(t));
            if (i == 0) {
                CHEATS.expectRevert(abi.encodeWithSelector(IErrors.DepositTooSmall.selector, needed, given));
            }
            CHEATS.prank(CLIENT);
            escrow.open(_pack(t), given, quote, "");
            _equal(_session(t).deposit, i == 0 ? 0 : given, "deposit");
        }
    }

    function test_the_smallest_deposit_opens_by_authorization_and_one_less_does_not() external {
        uint80 needed = 1_500_000;
        for (uint80 i = 0; i < 3; ++i) {
            Terms memory t = _terms();
            t.salt = i;
            uint80 given = needed - 1 + i;
            bytes memory quote = _signBy(ADVISOR, _hashOf(t));
            Authorization memory a = _authorize(CLIENT_KEY, address(escrow), given, _idOf(t));
            if (i == 0) {
                CHEATS.expectRevert(abi.encodeWithSelector(IErrors.DepositTooSmall.selector, needed, given));
            }
            escrow.openWithAuthorization(_pack(t), given, a, quote, "");
            _equal(_session(t).deposit, i == 0 ? 0 : given, "deposit");
        }
    }

    function test_a_smallest_deposit_of_all_that_80_bits_hold_opens_and_one_above_never_can() external {
        token.mint(CLIENT, MOST);
        _balanceOf(MOST);
        Terms memory t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice) = (MOST, 1);
        _refuses(
            t, _opening(t, MOST), abi.encodeWithSelector(IErrors.DepositTooSmall.selector, uint256(MOST) + 1, MOST)
        );
        t.tariff.connectFee = MOST - 1;
        _refuses(t, _opening(t, MOST - 1), abi.encodeWithSelector(IErrors.DepositTooSmall.selector, MOST, MOST - 1));
        _openFromBalance(t, MOST);
        _settle(t, 1);
        _isEarned(t, MOST);
    }

    // ------------------------------------------------------------------ the largest

    function test_the_largest_deposit_comes_in_and_goes_out_in_coin() external {
        CHEATS.deal(CLIENT, uint256(MOST) + 5);
        Terms memory t = _interactions();
        t.token = COIN;
        _open(t, MOST);
        _equal(CLIENT.balance, 5, "paid");
        _close(t, 0);
        _equal(CLIENT.balance, uint256(MOST) + 5, "everything returned");
    }

    function test_the_largest_deposit_comes_in_by_authorization_and_goes_out_to_the_wallet() external {
        token.mint(CLIENT, MOST);
        uint256 before = token.balanceOf(CLIENT);
        Terms memory t = _interactions();
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), MOST, _idOf(t));
        escrow.openWithAuthorization(_pack(t), MOST, a, _signBy(ADVISOR, _hashOf(t)), "");
        _equal(token.balanceOf(CLIENT), before - MOST, "paid");
        _close(t, 0);
        _equal(token.balanceOf(CLIENT), before, "everything returned");
    }

    function test_the_largest_fee_is_earned_and_shared_to_the_last_base_unit() external {
        token.mint(CLIENT, MOST);
        _balanceOf(MOST);
        Terms memory t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice, t.feeBps) = (0, MOST, 3_333);
        _openFromBalance(t, MOST);
        _settle(t, LAST_UNIT); // 2^112 base units, cut at the deposit
        _isEarned(t, MOST);
        uint256 part = uint256(MOST) * 3_333 / 10_000;
        _isOf(PLATFORM, part);
        _isOf(ADVISOR, MOST - part);
        _close(t, LAST_UNIT);
        _isOf(CLIENT, 0);
        _equal(token.balanceOf(address(escrow)), MOST, "kept");
    }

    // ------------------------------------------------------------------ the fee and the deposit

    function test_ESC2_a_fee_of_the_deposit_returns_nothing_and_of_one_less_returns_one() external {
        uint80 fee = 10_500_000; // of ten units
        for (uint80 i = 0; i < 3; ++i) {
            Terms memory t = _interactions();
            t.salt = i;
            _open(t, fee - 1 + i);
            uint256 before = token.balanceOf(CLIENT);
            _close(t, 10);
            _isEarned(t, i == 0 ? fee - 1 : fee);
            _equal(token.balanceOf(CLIENT), before + (i == 2 ? 1 : 0), "refund");
        }
    }

    function test_ESC15_a_share_is_rounded_down_to_the_very_base_unit_at_which_it_begins() external {
        // The share of one ten-thousandth is its first base unit when ten thousand are earned.
        Terms memory t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice, t.feeBps) = (9_998, 1, 1);
        _open(t, DEPOSIT);
        uint80[3] memory earned = [uint80(9_999), 10_000, 10_001];
        for (uint32 i = 0; i < 3; ++i) {
            _settle(t, i + 1);
            _isEarned(t, earned[i]);
            _isOf(PLATFORM, i == 0 ? 0 : 1);
            _isOf(ADVISOR, earned[i] - (i == 0 ? 0 : 1));
        }
    }

    function test_ESC15_all_but_a_ten_thousandth_leaves_the_advisor_the_rounding() external {
        Terms memory t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice, t.feeBps) = (0, 1, 9_999);
        _open(t, DEPOSIT);
        _settle(t, 1);
        _isOf(PLATFORM, 0);
        _isOf(ADVISOR, 1);
        _settle(t, 2);
        _isOf(PLATFORM, 1);
        _isOf(ADVISOR, 1);
    }

    // ------------------------------------------------------------------ top-ups

    function test_a_deposit_is_raised_by_one_in_every_way() external {
        Terms memory t = _terms();
        _balanceOf(1);
        _open(t, DEPOSIT);
        uint256 before = token.balanceOf(CLIENT);
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), DEPOSIT + 1);
        _equal(token.balanceOf(CLIENT), before - 1, "paid");
        Authorization memory a =
            _authorize(CLIENT_KEY, address(escrow), 1, keccak256(abi.encode(_idOf(t), DEPOSIT + 2)));
        escrow.topUpWithAuthorization(_pack(t), DEPOSIT + 2, a);
        _equal(token.balanceOf(CLIENT), before - 2, "paid");
        escrow.topUpFromBalance(_pack(t), DEPOSIT + 3, _signBy(CLIENT, _topUpHash(t, DEPOSIT + 3)));
        _isOf(CLIENT, 0);
        _equal(_session(t).deposit, DEPOSIT + 3, "deposit");

        Terms memory coin = _terms();
        coin.token = COIN;
        _open(coin, DEPOSIT);
        CHEATS.prank(CLIENT);
        escrow.topUp{value: 1}(_pack(coin), DEPOSIT + 1);
        _equal(_session(coin).deposit, DEPOSIT + 1, "deposit");
    }

    // ------------------------------------------------------------------ units

    function test_the_last_unit_of_32_bits_is_free_dearer_or_capped_exactly_as_the_tariff_says() external {
        Terms memory t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice, t.tariff.includedUnits) = (0, 5, LAST_UNIT - 1);
        _open(t, DEPOSIT); // all but the last unit are free
        _refuses(t, _settlement(t, LAST_UNIT - 1), abi.encodeWithSelector(IErrors.StaleVoucher.selector, 0, 0));
        _settle(t, LAST_UNIT);
        _isEarned(t, 5);

        t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice, t.tariff.stepUnits) = (0, 0, LAST_UNIT - 1);
        (t.tariff.stepPrice, t.salt) = (7, 8); // only the last unit comes after the step
        _open(t, DEPOSIT);
        _refuses(t, _settlement(t, LAST_UNIT - 1), abi.encodeWithSelector(IErrors.StaleVoucher.selector, 0, 0));
        _settle(t, LAST_UNIT);
        _isEarned(t, 7);

        t = _interactions();
        (t.tariff.connectFee, t.tariff.maxUnits, t.salt) = (3, LAST_UNIT - 1, 9);
        t.tariff.unitPrice = 1;
        uint256 whole = escrow.feeOf(_pack(t), LAST_UNIT - 1);
        _equal(whole, uint256(LAST_UNIT) + 2, "fee of the cap");
        _equal(escrow.feeOf(_pack(t), LAST_UNIT), whole, "fee beyond the cap");
        _equal(escrow.feeOf(_pack(t), LAST_UNIT - 2), whole - 1, "fee below the cap");
    }

    function test_a_step_in_the_last_unit_of_32_bits_is_never_reached() external {
        Terms memory t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice) = (0, 0);
        (t.tariff.stepUnits, t.tariff.stepPrice) = (LAST_UNIT, 7);
        _stock(CLIENT);
        _refuses(t, _opening(t, DEPOSIT), abi.encodeWithSelector(IErrors.NothingToPay.selector));
    }

    function test_ESC5_the_last_unit_of_32_bits_is_billed_from_its_first_second_on() external {
        Terms memory t = _terms();
        (t.tariff.unitSeconds, t.tariff.unitPrice) = (1, 1);
        _open(t, DEPOSIT);
        uint256 openedAt = time;
        _at(openedAt + LAST_UNIT - 2);
        _refuses(
            t,
            _settlement(t, LAST_UNIT),
            abi.encodeWithSelector(IErrors.TooManyUnits.selector, LAST_UNIT - 1, LAST_UNIT)
        );
        _at(openedAt + LAST_UNIT - 1);
        _settle(t, LAST_UNIT);
        _isEarned(t, DEPOSIT);
    }

    function test_units_and_time_are_not_looked_at_where_there_is_no_voucher() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 0);
        (c.voucher.journal, c.voucher.r, c.voucher.vs) = (_journal(1), bytes32(type(uint256).max), bytes32(uint256(1)));
        c.advisorSignature = _signBy(ADVISOR, _closingHash(t, 0, _journal(1), c.deadline));
        escrow.closeFor(c);
        _equal(uint256(_session(t).status), uint256(Status.Closed), "status");
    }

    // ------------------------------------------------------------------ balances

    function test_a_balance_is_withdrawn_whole_and_not_by_one_more() external {
        _balanceOf(100);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.BalanceTooSmall.selector, CLIENT, 101, 100));
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(token), 101, STRANGER);
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(token), 99, STRANGER);
        _isOf(CLIENT, 1);
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(token), 1, STRANGER);
        _isOf(CLIENT, 0);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.BalanceTooSmall.selector, CLIENT, 1, 0));
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(token), 1, STRANGER);
        _equal(token.balanceOf(STRANGER), 100, "paid");
    }

    function test_a_balance_of_exactly_the_deposit_opens_a_session_and_of_one_less_does_not() external {
        Terms memory t = _terms();
        _balanceOf(DEPOSIT - 1);
        bytes memory why =
            abi.encodeWithSelector(IErrors.BalanceTooSmall.selector, CLIENT, DEPOSIT, uint256(DEPOSIT) - 1);
        _refuses(t, _opening(t, DEPOSIT), why);
        _balanceOf(1);
        Opening memory o = _opening(t, DEPOSIT);
        escrow.openFromBalance(o);
        _isOf(CLIENT, 0);
        t.salt = 8;
        _balanceOf(uint256(DEPOSIT) + 1);
        o = _opening(t, DEPOSIT);
        escrow.openFromBalance(o);
        _isOf(CLIENT, 1);
    }

    function test_an_allowance_of_exactly_the_amount_is_enough_and_of_one_less_is_not() external {
        bytes memory why = abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(token));
        _allow(DEPOSIT - 1);
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.deposit(address(token), CLIENT, DEPOSIT);
        _allow(DEPOSIT);
        CHEATS.prank(CLIENT);
        escrow.deposit(address(token), CLIENT, DEPOSIT);
        _isOf(CLIENT, DEPOSIT);

        Terms memory t = _terms();
        _allow(DEPOSIT - 1);
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.open(_pack(t), DEPOSIT, quote, "");
        _allow(uint256(DEPOSIT) + 1);
        CHEATS.prank(CLIENT);
        escrow.open(_pack(t), DEPOSIT, quote, "");
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), DEPOSIT + 1);
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), DEPOSIT + 2);
        _equal(token.allowance(CLIENT, address(escrow)), 0, "allowance");
    }

    function _allow(uint256 amount) private {
        CHEATS.prank(CLIENT);
        token.approve(address(escrow), amount);
    }

    function test_coin_of_one_more_or_less_than_the_amount_is_refused_by_every_way_in() external {
        Terms memory t = _terms();
        t.token = COIN;
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        for (uint256 i = 0; i < 3; ++i) {
            uint256 value = uint256(DEPOSIT) - 1 + i;
            bytes memory why = abi.encodeWithSelector(IErrors.WrongValue.selector, DEPOSIT, value);
            if (i != 1) CHEATS.expectRevert(why);
            CHEATS.prank(CLIENT);
            escrow.deposit{value: value}(COIN, CLIENT, DEPOSIT);
            t.salt = uint96(7 + i);
            quote = _signBy(ADVISOR, _hashOf(t));
            if (i != 1) CHEATS.expectRevert(why);
            CHEATS.prank(CLIENT);
            escrow.open{value: value}(_pack(t), DEPOSIT, quote, "");
        }
        t.salt = 8;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 value = i < 2 ? 2 * i : 1;
            if (i < 2) CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongValue.selector, 1, value));
            CHEATS.prank(CLIENT);
            escrow.topUp{value: value}(_pack(t), DEPOSIT + 1);
        }
        _equal(address(escrow).balance, 2 * uint256(DEPOSIT) + 1, "arrived");
    }
}
