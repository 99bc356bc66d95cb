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
import {Base, Cheats, Terms} from "./Base.sol";
import {MadeUpToken} from "./mocks/Tokens.sol";
import {OwnedWallet} from "./mocks/Wallets.sol";

/// @dev ESC-16: a batch skips a bad row for a typed reason, says so, and does the others. That each refusal of the
/// single call is the reason in the batch is tested beside the single call (`Base._refuses`).
contract BatchesTest is Base {
    function _many(uint256 count) private view returns (Terms[] memory ts) {
        ts = new Terms[](count);
        for (uint256 i = 0; i < count; ++i) {
            ts[i] = _interactions();
            ts[i].salt = uint96(100 + i);
        }
    }

    function _openMany(uint256 count) private returns (Terms[] memory ts) {
        ts = _many(count);
        for (uint256 i = 0; i < count; ++i) {
            _open(ts[i], DEPOSIT);
        }
    }

    function test_ESC16_openBatch_opens_the_good_rows_and_tells_the_bad_ones() external {
        _stock(SPONSOR);
        Terms[] memory ts = _many(4);
        Opening[] memory rows = new Opening[](4);
        for (uint256 i = 0; i < 4; ++i) {
            ts[i].payer = SPONSOR;
            rows[i] = _opening(ts[i], DEPOSIT);
        }
        rows[1].clientSignature = "";
        rows[3] = rows[0]; // a duplicate
        _expectEvent();
        emit ISessionEscrow.RowSkipped(1, _idOf(ts[1]), _missing(CLIENT));
        _expectEvent();
        emit ISessionEscrow.RowSkipped(
            3, _idOf(ts[0]), abi.encodeWithSelector(IErrors.SessionExists.selector, _idOf(ts[0]))
        );
        CHEATS.prank(RELAYER);
        escrow.openBatch(rows);
        _equal(uint256(_session(ts[0]).status), uint256(Status.Open), "first");
        _equal(uint256(_session(ts[1]).status), uint256(Status.None), "second");
        _equal(uint256(_session(ts[2]).status), uint256(Status.Open), "third");
        _equal(escrow.balanceOf(address(token), SPONSOR), 10_000e6 - 2 * uint256(DEPOSIT), "balance");
    }

    function test_ESC16_openBatch_stops_spending_where_the_balance_ends() external {
        Terms[] memory ts = _many(3);
        CHEATS.prank(CLIENT);
        escrow.deposit(address(token), CLIENT, 2 * uint256(DEPOSIT) + 5);
        Opening[] memory rows = new Opening[](3);
        for (uint256 i = 0; i < 3; ++i) {
            rows[i] = _opening(ts[i], DEPOSIT);
        }
        _expectEvent();
        emit ISessionEscrow.RowSkipped(
            2, _idOf(ts[2]), abi.encodeWithSelector(IErrors.BalanceTooSmall.selector, CLIENT, DEPOSIT, 5)
        );
        escrow.openBatch(rows);
        _equal(escrow.balanceOf(address(token), CLIENT), 5, "balance");
    }

    function test_ESC16_settleBatch_settles_the_good_rows_and_tells_the_bad_ones() external {
        Terms[] memory ts = _openMany(4);
        _close(ts[2], 0);
        Settlement[] memory rows = new Settlement[](5);
        for (uint32 i = 0; i < 4; ++i) {
            rows[i] = _settlement(ts[i], i + 1);
        }
        rows[1].voucher = _voucherBy(STRANGER_KEY, ts[1], 2);
        rows[4] = rows[0]; // a duplicate
        _expectEvent();
        emit ISessionEscrow.Settled(_idOf(ts[0]), 1, 1_500_000, _journal(1));
        _expectEvent();
        emit ISessionEscrow.RowSkipped(1, _idOf(ts[1]), _wrong(ts[1].meterKey, STRANGER));
        _expectEvent();
        emit ISessionEscrow.RowSkipped(2, _idOf(ts[2]), _notOpen(ts[2]));
        _expectEvent();
        emit ISessionEscrow.Settled(_idOf(ts[3]), 4, 4_500_000, _journal(4));
        _expectEvent();
        emit ISessionEscrow.RowSkipped(
            4, _idOf(ts[0]), abi.encodeWithSelector(IErrors.StaleVoucher.selector, 1_500_000, 1_500_000)
        );
        CHEATS.prank(RELAYER);
        escrow.settleBatch(rows);
        _equal(escrow.balanceOf(address(token), ADVISOR), 5_400_000, "credited once each");
        _equal(escrow.balanceOf(address(token), PLATFORM), 600_000, "credited once each");
    }

    function test_ESC15_the_order_of_vouchers_in_a_batch_changes_nothing(uint256 seed) external {
        Terms[] memory ts = _openMany(1);
        Settlement[] memory rows = new Settlement[](5);
        uint32 highest;
        for (uint256 i = 0; i < 5; ++i) {
            uint32 units = uint32(uint256(keccak256(abi.encode(seed, i))) % 20 + 1);
            if (units > highest) highest = units;
            rows[i] = _settlement(ts[0], units);
        }
        escrow.settleBatch(rows);
        uint256 earned = escrow.feeOf(_pack(ts[0]), highest);
        _equal(_session(ts[0]).earned, earned, "earned");
        _equal(escrow.balanceOf(address(token), PLATFORM), earned / 10, "platform");
    }

    function test_ESC16_closeBatch_closes_the_good_rows_and_tells_the_bad_ones() external {
        Terms[] memory ts = _openMany(4);
        Closing[] memory rows = new Closing[](5);
        for (uint32 i = 0; i < 4; ++i) {
            rows[i] = _closing(ts[i], i);
        }
        rows[1].advisorSignature = "";
        rows[2].deadline = uint40(time - 1);
        rows[4] = rows[3]; // a duplicate
        uint256 before = token.balanceOf(CLIENT);
        _expectEvent();
        emit ISessionEscrow.RowSkipped(1, _idOf(ts[1]), _missing(ADVISOR));
        _expectEvent();
        emit ISessionEscrow.RowSkipped(
            2, _idOf(ts[2]), abi.encodeWithSelector(IErrors.SignatureExpired.selector, time - 1, time)
        );
        _expectEvent();
        emit ISessionEscrow.SessionClosed(_idOf(ts[3]), 3, 3_500_000, _journal(3));
        _expectEvent();
        emit ISessionEscrow.RowSkipped(4, _idOf(ts[3]), _notOpen(ts[3]));
        CHEATS.prank(RELAYER);
        escrow.closeBatch(rows);
        _equal(token.balanceOf(CLIENT), before + 2 * uint256(DEPOSIT) - 3_500_000, "refunded once each");
        _equal(uint256(_session(ts[1]).status), uint256(Status.Open), "second");
    }

    function test_the_advisor_closes_their_own_in_a_batch_without_signing() external {
        Terms[] memory ts = _openMany(2);
        Closing[] memory rows = new Closing[](2);
        for (uint32 i = 0; i < 2; ++i) {
            rows[i] = _closing(ts[i], 1);
            (rows[i].advisorSignature, rows[i].deadline) = ("", 0);
        }
        rows[1].advisorSignature = hex"00"; // what is given is checked
        rows[1].deadline = uint40(time);
        _expectEvent();
        emit ISessionEscrow.RowSkipped(1, _idOf(ts[1]), _wrong(ADVISOR, address(0)));
        CHEATS.prank(ADVISOR);
        escrow.closeBatch(rows);
        _equal(uint256(_session(ts[0]).status), uint256(Status.Closed), "closed");
    }

    function test_batches_of_one_row_do_what_the_single_calls_do() external {
        Terms memory t = _interactions();
        _stock(CLIENT);
        Opening[] memory openings = new Opening[](1);
        openings[0] = _opening(t, DEPOSIT);
        _expectOpened(t, DEPOSIT, true);
        escrow.openBatch(openings);
        _equal(escrow.balanceOf(address(token), CLIENT), 10_000e6 - uint256(DEPOSIT), "balance");
        Settlement[] memory settlements = new Settlement[](1);
        settlements[0] = _settlement(t, 1);
        _expectEvent();
        emit ISessionEscrow.Settled(_idOf(t), 1, 1_500_000, _journal(1));
        escrow.settleBatch(settlements);
        _equal(_session(t).earned, 1_500_000, "earned");
        Closing[] memory closings = new Closing[](1);
        closings[0] = _closing(t, 2);
        _expectEvent();
        emit ISessionEscrow.SessionClosed(_idOf(t), 2, 2_500_000, _journal(2));
        escrow.closeBatch(closings);
        _equal(uint256(_session(t).status), uint256(Status.Closed), "status");
        _equal(escrow.balanceOf(address(token), CLIENT), 10_000e6 - 2_500_000, "refund");
    }

    function test_a_payer_opens_and_an_advisor_closes_in_a_batch_only_their_own_without_signing() external {
        _stock(CLIENT);
        _stock(SPONSOR);
        Terms[] memory ts = _many(2);
        ts[1].payer = SPONSOR;
        Opening[] memory rows = new Opening[](2);
        for (uint256 i = 0; i < 2; ++i) {
            rows[i] = _opening(ts[i], DEPOSIT);
            rows[i].payerSignature = "";
        }
        _expectOpened(ts[0], DEPOSIT, true);
        _expectEvent();
        emit ISessionEscrow.RowSkipped(1, _idOf(ts[1]), _missing(SPONSOR));
        CHEATS.prank(CLIENT);
        escrow.openBatch(rows);
        ts[1].payer = CLIENT;
        ts[1].advisor = STRANGER;
        _open(ts[1], DEPOSIT);
        Closing[] memory closings = new Closing[](2);
        for (uint256 i = 0; i < 2; ++i) {
            closings[i] = _closing(ts[i], 0);
            closings[i].advisorSignature = "";
        }
        _expectEvent();
        emit ISessionEscrow.RowSkipped(1, _idOf(ts[1]), _missing(STRANGER));
        CHEATS.prank(ADVISOR);
        escrow.closeBatch(closings);
        _equal(uint256(_session(ts[0]).status), uint256(Status.Closed), "their own");
        _equal(uint256(_session(ts[1]).status), uint256(Status.Open), "another's");
    }

    function test_empty_batches_do_nothing() external {
        CHEATS.recordLogs();
        escrow.openBatch(new Opening[](0));
        escrow.settleBatch(new Settlement[](0));
        escrow.closeBatch(new Closing[](0));
        _equal(CHEATS.getRecordedLogs().length, 0, "logs");
    }

    // ------------------------------------------------------------------ gas

    function test_ESC16_a_row_that_runs_out_of_gas_reverts_the_batch() external {
        Terms[] memory ts = _openMany(3);
        Closing[] memory rows = new Closing[](3);
        for (uint32 i = 0; i < 3; ++i) {
            rows[i] = _closing(ts[i], 1);
        }
        uint256 refused;
        for (uint256 gas_ = 40_000; refused < 100; gas_ += 10_000) {
            CHEATS.recordLogs();
            try escrow.closeBatch{gas: gas_}(rows) {
                break;
            } catch {
                ++refused;
            }
        }
        require(refused > 10, "enough gas from the start");
        Cheats.Log[] memory logs = CHEATS.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            require(logs[i].topics[0] != ISessionEscrow.RowSkipped.selector, "skipped");
            require(logs[i].topics[0] != ISessionEscrow.RefundCredited.selector, "credited");
        }
        for (uint32 i = 0; i < 3; ++i) {
            _equal(uint256(_session(ts[i]).status), uint256(Status.Closed), "all or none");
        }
    }

    function test_ESC16_too_little_gas_for_a_wallets_check_is_not_a_refusal() external {
        _walletRow(65);
    }

    function test_ESC16_too_little_gas_for_a_wallets_check_of_a_long_signature_is_not_a_refusal() external {
        _walletRow(60_000);
    }

    /// @dev A good row whose advisor is a wallet that needs nearly all gas that it may use: whatever gas the batch gets,
    /// the row is done or the whole batch reverts; it is never skipped.
    function _walletRow(uint256 length) private {
        OwnedWallet wallet = new OwnedWallet(ADVISOR);
        Terms memory t = _interactions();
        t.advisor = address(wallet);
        keys[address(wallet)] = ADVISOR_KEY;
        _open(t, DEPOSIT);
        wallet.become(OwnedWallet.Mood.Slow);
        Closing[] memory rows = new Closing[](1);
        rows[0] = _closing(t, 0);
        rows[0].advisorSignature = bytes.concat(rows[0].advisorSignature, new bytes(length - 65));
        uint256 refused;
        for (uint256 gas_ = 380_000; refused < 1_000; gas_ += 500) {
            try escrow.closeBatch{gas: gas_}(rows) {
                break;
            } catch {
                ++refused;
            }
        }
        require(refused > 10, "enough gas from the start");
        _equal(uint256(_session(t).status), uint256(Status.Closed), "skipped for want of gas");
    }

    // ------------------------------------------------------------------ hostile rows

    function test_ESC16_a_made_up_token_with_absurd_balances_blocks_nobody_elses_row() external {
        // Its maker fills the advisor's balance to the brim, so that one more unit would overflow.
        MadeUpToken absurd = new MadeUpToken();
        Terms[] memory ts = _openMany(2);
        Terms memory hostile = _interactions();
        (hostile.token, hostile.feeBps) = (address(absurd), 0);
        try escrow.deposit(address(absurd), ADVISOR, type(uint256).max) {} catch {}
        absurd.set(address(escrow), 0);
        _open(hostile, DEPOSIT);
        Settlement[] memory rows = new Settlement[](3);
        rows[0] = _settlement(ts[0], 1);
        rows[1] = _settlement(hostile, 1);
        rows[2] = _settlement(ts[1], 1);
        escrow.settleBatch(rows);
        _equal(_session(ts[0]).earned, 1_500_000, "first");
        _equal(_session(ts[1]).earned, 1_500_000, "third");
        _equal(_session(hostile).earned, 1_500_000, "hostile"); // ESC-19: it opened, so it settles
    }

    function test_ESC8_wallets_that_burn_gas_or_bomb_are_skipped_rows() external {
        OwnedWallet wallet = new OwnedWallet(ADVISOR);
        Terms[] memory ts = _openMany(1);
        Terms memory hostile = _interactions();
        hostile.advisor = address(wallet);
        keys[address(wallet)] = ADVISOR_KEY;
        _open(hostile, DEPOSIT);
        Closing[] memory rows = new Closing[](2);
        rows[0] = _closing(hostile, 1);
        rows[1] = _closing(ts[0], 1);
        wallet.become(OwnedWallet.Mood.BurnsGas);
        _expectEvent();
        emit ISessionEscrow.RowSkipped(0, _idOf(hostile), _wrong(address(wallet), ADVISOR));
        escrow.closeBatch{gas: 1_200_000}(rows);
        _equal(uint256(_session(ts[0]).status), uint256(Status.Closed), "the other row");
        wallet.become(OwnedWallet.Mood.Bombs);
        _refuses(hostile, rows[0], _wrong(address(wallet), ADVISOR));
    }
}
