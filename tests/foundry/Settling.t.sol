// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {ISessionEscrow, Session, Settlement, Status, Voucher} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Base, Terms} from "./Base.sol";

/// @dev What a voucher is worth, when, and whose.
contract SettlingTest is Base {
    function test_ESC4_a_voucher_credits_the_tariffs_fee_to_advisor_and_platform() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _later(3 minutes);
        Settlement memory s = _settlement(t, 3);
        _expectEvent();
        emit ISessionEscrow.Settled(_idOf(t), 3, 3_500_000, _journal(3));
        CHEATS.prank(RELAYER);
        escrow.settle(s);
        _equal(_session(t).earned, 3_500_000, "earned");
        _equal(escrow.balanceOf(address(token), PLATFORM), 350_000, "platform");
        _equal(escrow.balanceOf(address(token), ADVISOR), 3_150_000, "advisor");
        _equal(uint256(_session(t).status), uint256(Status.Open), "the session goes on");
    }

    function test_ESC2_earned_stops_at_the_deposit() external {
        Terms memory t = _interactions();
        _open(t, 10e6);
        _settle(t, 10); // 10.50
        _equal(_session(t).earned, 10e6, "earned");
        _refuses(t, _settlement(t, 11), abi.encodeWithSelector(IErrors.StaleVoucher.selector, 10e6, 10e6));
    }

    function test_a_fee_of_exactly_the_deposit_is_earned_whole() external {
        Terms memory t = _interactions();
        _open(t, 10_500_000);
        _settle(t, 10);
        _equal(_session(t).earned, 10_500_000, "earned");
    }

    // ------------------------------------------------------------------ stale

    function test_ESC2_a_lower_or_equal_voucher_settles_nothing() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        _settle(t, 5);
        _refuses(t, _settlement(t, 5), abi.encodeWithSelector(IErrors.StaleVoucher.selector, 5_500_000, 5_500_000));
        _refuses(t, _settlement(t, 4), abi.encodeWithSelector(IErrors.StaleVoucher.selector, 5_500_000, 4_500_000));
        _equal(escrow.balanceOf(address(token), ADVISOR), 4_950_000, "advisor");
    }

    function test_ESC17_no_voucher_settles_nothing() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        _refuses(t, _settlement(t, 0), abi.encodeWithSelector(IErrors.StaleVoucher.selector, 0, 0));
    }

    function test_units_within_the_free_ones_settle_nothing_without_a_connect_fee() external {
        Terms memory t = _interactions();
        (t.tariff.connectFee, t.tariff.includedUnits) = (0, 3);
        _open(t, DEPOSIT);
        _refuses(t, _settlement(t, 3), abi.encodeWithSelector(IErrors.StaleVoucher.selector, 0, 0));
        _settle(t, 4);
        _equal(_session(t).earned, 1e6, "earned");
    }

    // ------------------------------------------------------------------ ESC-3

    function test_ESC3_only_the_meter_key_moves_units() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        uint256[4] memory others = [ADVISOR_KEY, CLIENT_KEY, SPONSOR_KEY, STRANGER_KEY];
        for (uint256 i = 0; i < 4; ++i) {
            Settlement memory s = Settlement(_pack(t), _voucherBy(others[i], t, 3));
            _refuses(t, s, _wrong(t.meterKey, CHEATS.addr(others[i])));
        }
        _equal(_session(t).earned, 0, "earned");
    }

    function test_ESC3_a_voucher_of_another_session_proves_nothing() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Terms memory other = _interactions();
        other.salt = 8;
        _open(other, DEPOSIT);
        Settlement memory s = Settlement(_pack(t), _voucher(other, 3));
        _refusesAnySigner(s);
    }

    function test_ESC3_other_units_or_another_journal_than_signed_prove_nothing() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Settlement memory s = _settlement(t, 3);
        s.voucher.units = 4;
        _refusesAnySigner(s);
        s = _settlement(t, 3);
        s.voucher.journal = _journal(4);
        _refusesAnySigner(s);
    }

    function test_ESC3_other_terms_than_the_sessions_settle_nothing() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        t.tariff.unitPrice *= 2; // an advisor's idea of a better tariff
        _refuses(t, _settlement(t, 3), _notOpen(t));
    }

    /// @dev EIP-2098 has 255 bits for s, so nearly no mirror image can be written down; what can be is refused.
    function test_ESC14_a_vouchers_s_above_half_the_order_is_refused() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Settlement memory s = _settlement(t, 3);
        uint256 parity = 1 << 255;
        uint256[4] memory high = [ORDER / 2 + 1, ORDER / 2 + 2, parity - 1, ORDER / 2 + 1 | parity];
        for (uint256 i = 0; i < 4; ++i) {
            s.voucher.vs = bytes32(high[i]);
            _refuses(t, s, abi.encodeWithSelector(IErrors.HighS.selector, high[i] & (parity - 1)));
        }
        s.voucher.vs = bytes32(ORDER / 2);
        _refusesAnySigner(s);
    }

    function test_a_voucher_without_a_signature_is_nobodys() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Settlement memory s = _settlement(t, 3);
        (s.voucher.r, s.voucher.vs) = (0, 0);
        _refuses(t, s, _wrong(t.meterKey, address(0)));
    }

    // ------------------------------------------------------------------ ESC-5

    function test_ESC5_refuses_more_units_than_time_has_passed() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _refuses(t, _settlement(t, 2), abi.encodeWithSelector(IErrors.TooManyUnits.selector, 1, 2));
        _settle(t, 1); // the first minute has started
        _later(59);
        _refuses(t, _settlement(t, 2), abi.encodeWithSelector(IErrors.TooManyUnits.selector, 1, 2));
        _later(1);
        _settle(t, 2);
        _later(60 * 5 - 1);
        _refuses(t, _settlement(t, 7), abi.encodeWithSelector(IErrors.TooManyUnits.selector, 6, 7));
        _later(1);
        _settle(t, 7);
        _equal(_session(t).earned, 7_500_000, "earned");
    }

    function test_ESC5_time_bounds_units_even_beyond_the_cap_and_the_deposit() external {
        Terms memory t = _terms();
        t.tariff.maxUnits = 2;
        _open(t, 2_500_000);
        _later(60);
        _refuses(t, _settlement(t, 3), abi.encodeWithSelector(IErrors.TooManyUnits.selector, 2, 3));
        _later(60);
        _settle(t, 3);
        _equal(_session(t).earned, 2_500_000, "earned");
    }

    function test_ESC5_seconds_are_counted_to_the_second(uint16 elapsed, uint32 unitSeconds) external {
        Terms memory t = _terms();
        t.tariff.unitSeconds = unitSeconds % 86_400 + 1;
        t.tariff.unitPrice = 1;
        _open(t, DEPOSIT);
        _later(elapsed);
        uint32 allowed = uint32(elapsed / t.tariff.unitSeconds) + 1;
        _refuses(
            t, _settlement(t, allowed + 1), abi.encodeWithSelector(IErrors.TooManyUnits.selector, allowed, allowed + 1)
        );
        _settle(t, allowed);
    }

    function test_ESC5_a_local_chains_clock_that_runs_backwards_allows_one_unit() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        CHEATS.warp(time - 1 days);
        _refuses(t, _settlement(t, 2), abi.encodeWithSelector(IErrors.TooManyUnits.selector, 1, 2));
        _settle(t, 1);
    }

    function test_ESC5_interactions_need_no_time() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        _settle(t, type(uint32).max);
        _equal(_session(t).earned, DEPOSIT, "earned");
    }

    function test_ESC5_time_stops_when_somebody_asks_to_close() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _later(119);
        _leave(t);
        _later(30 minutes);
        _refuses(t, _settlement(t, 3), abi.encodeWithSelector(IErrors.TooManyUnits.selector, 2, 3));
        _settle(t, 2);
    }

    // ------------------------------------------------------------------ the exact units of a tariff

    function test_step_cap_and_free_units_settle_at_their_exact_units() external {
        Terms memory t = _interactions();
        t.tariff.connectFee = 0;
        (t.tariff.includedUnits, t.tariff.stepUnits, t.tariff.stepPrice, t.tariff.maxUnits) = (2, 4, 10, 6);
        _open(t, DEPOSIT);
        _refuses(t, _settlement(t, 2), abi.encodeWithSelector(IErrors.StaleVoucher.selector, 0, 0));
        uint80[4] memory earned = [uint80(1e6), 2e6, 2e6 + 10, 2e6 + 20];
        for (uint32 i = 0; i < 4; ++i) {
            _settle(t, i + 3);
            _equal(_session(t).earned, earned[i], "earned");
        }
        _refuses(t, _settlement(t, 7), abi.encodeWithSelector(IErrors.StaleVoucher.selector, 2e6 + 20, 2e6 + 20));
    }

    // ------------------------------------------------------------------ ESC-15

    function test_ESC15_the_platforms_part_does_not_depend_on_how_often_anybody_settles(
        uint16 bps,
        uint80 price,
        uint80 deposit,
        uint256 seed
    ) external {
        Terms memory t = _interactions();
        t.feeBps = bps % 10_001;
        t.tariff.connectFee = uint80(seed % 1_000);
        t.tariff.unitPrice = price % 1e9 + 1;
        deposit = deposit % 1e12 + 1e9 + 1_000;
        token.mint(CLIENT, deposit);
        _open(t, deposit);
        uint32 units;
        for (uint256 i = 0; i < 6; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            units += uint32(random % 400 + 1);
            if (_session(t).earned == deposit) break;
            if (random >> 255 == 0) _settle(t, units);
        }
        _close(t, units);
        uint256 fee = escrow.feeOf(_pack(t), units);
        uint256 earned = fee < deposit ? fee : deposit;
        _equal(_session(t).earned, earned, "earned");
        _equal(escrow.balanceOf(address(token), PLATFORM), earned * t.feeBps / 10_000, "platform");
        _equal(escrow.balanceOf(address(token), ADVISOR), earned - earned * t.feeBps / 10_000, "advisor");
    }

    function test_ESC15_without_a_share_the_advisor_gets_everything() external {
        address[2] memory recipients = [address(0), PLATFORM];
        for (uint256 i = 0; i < 2; ++i) {
            Terms memory t = _interactions();
            (t.feeBps, t.feeRecipient) = (0, recipients[i]);
            _open(t, DEPOSIT);
            _settle(t, 1);
            _equal(escrow.balanceOf(address(token), recipients[i]), 0, "platform");
            _equal(escrow.balanceOf(address(token), ADVISOR), 1_500_000 * (i + 1), "advisor");
        }
    }

    function test_ESC15_a_platform_that_takes_everything_leaves_the_advisor_nothing() external {
        Terms memory t = _interactions();
        t.feeBps = 10_000;
        _open(t, DEPOSIT);
        _settle(t, 1);
        _equal(escrow.balanceOf(address(token), PLATFORM), 1_500_000, "platform");
        _equal(escrow.balanceOf(address(token), ADVISOR), 0, "advisor");
    }

    function test_ESC15_an_advisor_who_is_the_platform_gets_both_parts() external {
        Terms memory t = _interactions();
        t.feeRecipient = ADVISOR;
        _open(t, DEPOSIT);
        _settle(t, 1);
        _equal(escrow.balanceOf(address(token), ADVISOR), 1_500_000, "advisor");
    }

    // ------------------------------------------------------------------ not open

    function test_a_session_that_never_was_settles_nothing() external {
        Terms memory t = _terms();
        _refuses(t, _settlement(t, 1), _notOpen(t));
    }

    function test_ESC6_a_closed_session_settles_nothing() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        _close(t, 1);
        _refuses(t, _settlement(t, 2), _notOpen(t));
    }

    /// @dev The recovered address is some account without meaning; the refusal's kind is what counts.
    function _refusesAnySigner(Settlement memory s) private {
        try escrow.settle(s) {
            revert("settled");
        } catch (bytes memory why) {
            require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
        }
    }
}
