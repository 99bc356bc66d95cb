// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Closing, ISessionEscrow, Opening, Settlement, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Cheats, Terms} from "../Base.sol";
import {MadeUpToken} from "../mocks/Tokens.sol";
import {OwnedWallet} from "../mocks/Wallets.sol";
import {Attack} from "./Attack.sol";

/// @dev Somebody gains nothing and wants others to lose: time, gas, their turn.
contract GriefingTest is Attack {
    // ------------------------------------------------------------------ closes

    /// @dev Wants sums to change by settling in crumbs: each rounding in the platform's favour, or the advisor's.
    /// Totals are differences of rounded totals (ESC-15), so crumbs cost the griefer gas and nobody anything. Known
    /// from: rates that round in tokens of 6 decimals (LlamaPay).
    function test_settling_in_crumbs_changes_no_total_and_stops_no_close() external {
        Terms memory t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice, t.feeBps) = (3, 7, 3_333);
        _open(t, 1_000);
        for (uint32 units = 1; units <= 30; ++units) {
            Settlement memory s = _settlement(t, units);
            CHEATS.prank(STRANGER);
            escrow.settle(s);
        }
        _close(t, 31);
        uint256 earned = 3 + 7 * 31;
        uint256 part = earned * 3_333 / 10_000;
        _equal(escrow.balanceOf(address(token), PLATFORM), part, "platform");
        _equal(escrow.balanceOf(address(token), ADVISOR), earned - part, "advisor");
    }

    /// @dev Wants the desk's settlement to fail: takes the voucher from the mempool and settles it first. The single
    /// call then fails as stale, the batch goes on; either way the advisor has the money and the griefer has paid the
    /// gas.
    function test_a_voucher_settled_by_a_stranger_first_costs_the_desk_one_refusal() external {
        Terms memory t = _interactions();
        Terms memory other = _interactions();
        other.salt = 8;
        _open(t, DEPOSIT);
        _open(other, DEPOSIT);
        Settlement[] memory rows = new Settlement[](2);
        (rows[0], rows[1]) = (_settlement(t, 4), _settlement(other, 4));
        CHEATS.prank(STRANGER);
        escrow.settle(rows[0]);
        bytes4 stale = IErrors.StaleVoucher.selector;
        _fails(RELAYER, address(escrow), abi.encodeCall(escrow.settle, (rows[0])), stale);
        escrow.settleBatch(rows);
        _equal(escrow.balanceOf(address(token), ADVISOR), 2 * 4_050_000, "advisor");
        _close(t, 4); // a close never minds
    }

    /// @dev Wants an advisor's closing to fail by topping up right before it. It closes all the same and the top-up
    /// goes back, less what the voucher is worth now that the deposit no longer cuts it: the payer's own doing.
    function test_a_top_up_in_front_of_a_closing_does_not_stop_it() external {
        Terms memory t = _interactions();
        _open(t, 10e6);
        Closing memory c = _closing(t, 20); // 20.50 of a deposit of 10
        uint256 before = token.balanceOf(CLIENT);
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), DEPOSIT);
        escrow.closeFor(c);
        _equal(_session(t).earned, 20_500_000, "earned");
        _equal(before - token.balanceOf(CLIENT), 10_500_000, "what the payer lost by it");
    }

    /// @dev Wants an advisor to work for nothing: asks to close as soon as the session is open and goes on asking. The
    /// clock has stopped, so the meter proves no more than the first unit. What limits it: `CloseRequested` is in the
    /// log; an advisor stops when they see it, and what was advised before it is never lost.
    function test_a_session_left_at_once_earns_the_unit_that_had_begun_and_no_more() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _leave(t);
        _later(30 minutes);
        _refuses(t, _settlement(t, 2), abi.encodeWithSelector(IErrors.TooManyUnits.selector, 1, 2));
        _settle(t, 1);
        _later(30 minutes);
        escrow.finalize(_pack(t));
        _equal(_session(t).earned, 1_500_000, "earned");
    }

    /// @dev Wants to move the end of the grace period, by asking again, as the other party, or by a top-up. It is set
    /// once. Known from: mppx #142, where a cached closing time was believed.
    function test_the_end_of_grace_cannot_be_moved() external {
        Terms memory t = _sponsored();
        _fund(SPONSOR);
        _open(t, DEPOSIT);
        _leave(t);
        uint40 asked = _session(t).closingAt;
        _later(5 minutes);
        bytes4 already = IErrors.AlreadyClosing.selector;
        _fails(SPONSOR, address(escrow), abi.encodeCall(escrow.requestClose, (_pack(t), SPONSOR, "")), already);
        _fails(CLIENT, address(escrow), _leavingCall(t), already);
        _fails(SPONSOR, address(escrow), abi.encodeCall(escrow.topUp, (_pack(t), DEPOSIT + 1)), already);
        _settle(t, 1);
        _equal(_session(t).closingAt, asked, "closing time");
        _at(asked + t.closeGrace);
        escrow.finalize(_pack(t));
    }

    /// @dev Wants vouchers refused that come after somebody asked to close. They count until the session is closed.
    /// Known from: mpp-specs #127.
    function test_vouchers_count_after_a_request_to_close() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _later(9 minutes);
        _leave(t);
        _later(t.closeGrace - 1);
        _settle(t, 9);
        escrow.closeFor(_closing(t, 10));
        _equal(_session(t).earned, 10_500_000, "earned");
    }

    /// @dev Wants a session in which nothing was used to be stuck. Closed without a voucher, or left and finalized, it
    /// returns everything. Known from: mpp-rs #291.
    function test_a_session_without_any_use_closes_and_returns_everything() external {
        Terms memory t = _terms();
        uint256 before = token.balanceOf(CLIENT);
        _open(t, DEPOSIT);
        escrow.closeFor(_closing(t, 0));
        t.salt = 8;
        _open(t, DEPOSIT);
        _leave(t);
        _later(t.closeGrace);
        escrow.finalize(_pack(t));
        _equal(token.balanceOf(CLIENT), before, "all of it");
    }

    /// @dev Wants the rest stuck after a part was paid out in the middle. Earned money is in the advisor's balance and
    /// no close looks at it. Known from: microraiden's uncooperativeClose.
    function test_earnings_paid_out_in_the_middle_leave_nothing_stuck_at_the_end() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        _watch(t);
        _settle(t, 5);
        CHEATS.prank(ADVISOR);
        escrow.withdraw(address(token), 4_950_000, ADVISOR);
        _leave(t);
        _settle(t, 6);
        CHEATS.prank(ADVISOR);
        escrow.withdraw(address(token), 900_000, ADVISOR);
        _later(t.closeGrace);
        uint256 before = token.balanceOf(CLIENT);
        escrow.finalize(_pack(t));
        _equal(token.balanceOf(CLIENT) - before, DEPOSIT - 6_500_000, "refund");
        _booksAreRight(address(token), 0);
    }

    /// @dev Wants refunds so small that returning them costs more than they are worth. They are returned all the same,
    /// by whoever closes; what keeps dust from being opened is the smallest deposit. Known from: go-livepeer #1603.
    function test_a_refund_of_one_base_unit_is_returned() external {
        Terms memory t = _interactions();
        _open(t, 1_500_001);
        uint256 before = token.balanceOf(CLIENT);
        _close(t, 1);
        _equal(token.balanceOf(CLIENT) - before, 1, "refund");
        t.salt = 8;
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        bytes memory open = abi.encodeCall(escrow.open, (_pack(t), 1_499_999, quote, ""));
        _fails(CLIENT, address(escrow), open, IErrors.DepositTooSmall.selector);
    }

    // ------------------------------------------------------------------ batches

    /// @dev Wants good rows to starve behind bad ones. Each bad row costs its sender a little and the good one is done.
    /// Known from: x402 #2559, where one bad row blocked a batch.
    function test_a_thousand_empty_rows_in_front_stop_no_good_row() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Settlement[] memory settlements = new Settlement[](1_001);
        settlements[1_000] = _settlement(t, 1);
        uint256 before = gasleft();
        escrow.settleBatch(settlements);
        require(before - gasleft() < 12_000_000, "an empty settlement costs more than 12,000");
        _equal(_session(t).earned, 1_500_000, "settled");

        Closing[] memory closings = new Closing[](1_001);
        closings[1_000] = _closing(t, 2);
        before = gasleft();
        escrow.closeBatch(closings);
        require(before - gasleft() < 12_000_000, "an empty closing costs more than 12,000");
        _equal(uint256(_session(t).status), uint256(Status.Closed), "closed");

        _stock(CLIENT);
        t.salt = 8;
        Opening[] memory openings = new Opening[](1_001);
        openings[1_000] = _opening(t, DEPOSIT);
        before = gasleft();
        escrow.openBatch(openings);
        require(before - gasleft() < 12_000_000, "an empty opening costs more than 12,000");
        _equal(uint256(_session(t).status), uint256(Status.Open), "opened");
    }

    /// @dev Wants one row to eat the batch's gas: three wallets in it, the first two accept after using nearly all that
    /// a check may use, the third burns everything. A row costs 1.3 million at most, and the others are done.
    function test_three_wallets_in_one_row_cost_no_more_than_three_checks() external {
        (Terms memory hostile, OwnedWallet wallet) = _threeWallets();
        Terms memory good = _interactions();
        _stock(CLIENT);
        Opening[] memory rows = new Opening[](2);
        (rows[0], rows[1]) = (_opening(hostile, DEPOSIT), _opening(good, DEPOSIT));
        wallet.become(OwnedWallet.Mood.BurnsGas);
        uint256 before = gasleft();
        escrow.openBatch(rows);
        require(before - gasleft() < 1_400_000, "cost more than three checks");
        _equal(uint256(_session(hostile).status), uint256(Status.None), "the hostile row");
        _equal(uint256(_session(good).status), uint256(Status.Open), "the good row");
    }

    function _threeWallets() private returns (Terms memory t, OwnedWallet last) {
        OwnedWallet advisor = new OwnedWallet(ADVISOR);
        OwnedWallet client = new OwnedWallet(CLIENT);
        last = new OwnedWallet(SPONSOR);
        (keys[address(advisor)], keys[address(client)], keys[address(last)]) = (ADVISOR_KEY, CLIENT_KEY, SPONSOR_KEY);
        advisor.become(OwnedWallet.Mood.Slow);
        client.become(OwnedWallet.Mood.Slow);
        t = _interactions();
        (t.advisor, t.client, t.payer) = (address(advisor), address(client), address(last));
        _stock(address(last));
    }

    /// @dev Wants to make the sender of a batch pay for a bomb of returned data. One word of it is read, at every mood
    /// a wallet can be in; a row is skipped for at most a check's gas.
    function test_a_wallet_of_any_mood_costs_a_closing_row_at_most_one_check() external {
        OwnedWallet wallet = new OwnedWallet(ADVISOR);
        keys[address(wallet)] = ADVISOR_KEY;
        Terms memory hostile = _interactions();
        hostile.advisor = address(wallet);
        _open(hostile, DEPOSIT);
        OwnedWallet.Mood[5] memory moods = [
            OwnedWallet.Mood.Refuses,
            OwnedWallet.Mood.Reverts,
            OwnedWallet.Mood.BurnsGas,
            OwnedWallet.Mood.Bombs,
            OwnedWallet.Mood.AnswersShort
        ];
        for (uint96 i = 0; i < 5; ++i) {
            wallet.become(moods[i]);
            Terms memory good = _interactions();
            good.salt = 100 + i;
            _open(good, DEPOSIT);
            Closing[] memory rows = new Closing[](2);
            (rows[0], rows[1]) = (_closing(hostile, 1), _closing(good, 1));
            uint256 before = gasleft();
            escrow.closeBatch(rows);
            require(before - gasleft() < 550_000, "cost more than a check and a closing");
            _equal(uint256(_session(good).status), uint256(Status.Closed), "the good row");
        }
        _equal(uint256(_session(hostile).status), uint256(Status.Open), "the hostile row");
    }

    /// @dev Wants a session to look bad in the log: sends rows about it that fail. Anybody can have `RowSkipped`
    /// written about any session; it says something about the row and nothing about the session, whose state is
    /// untouched.
    function test_a_skipped_row_in_the_log_says_nothing_about_the_session_that_it_names() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        bytes32 before = keccak256(abi.encode(_session(t)));
        Settlement[] memory rows = new Settlement[](1);
        rows[0] = _settlementBy(STRANGER_KEY, t, 1_000);
        _expectEvent();
        emit ISessionEscrow.RowSkipped(0, _idOf(t), _wrong(t.meterKey, STRANGER));
        CHEATS.prank(STRANGER);
        escrow.settleBatch(rows);
        _equal(keccak256(abi.encode(_session(t))), before, "session");
    }

    /// @dev Wants the whole batch undone by calldata that breaks off in the middle. It is; but whoever sends a batch
    /// writes its calldata, so that this is their own mistake and costs nobody else anything.
    function test_calldata_that_breaks_off_undoes_the_call() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing[] memory rows = new Closing[](2);
        (rows[0], rows[1]) = (_closing(t, 1), _closing(t, 1));
        bytes memory data = abi.encodeCall(escrow.closeBatch, (rows));
        assembly ("memory-safe") {
            mstore(data, sub(mload(data), 32))
        }
        (bool done,) = _send(RELAYER, address(escrow), data);
        require(!done, "took half a row");
        _equal(uint256(_session(t).status), uint256(Status.Open), "status");
    }

    // ------------------------------------------------------------------ places and names

    /// @dev Wants to occupy ids: to revoke or open what is somebody else's. Only who is named in terms, and signs, uses
    /// their id; a stranger revokes nothing but terms that name the stranger.
    function test_nobody_occupies_the_id_of_others_terms() external {
        Terms memory t = _sponsored();
        bytes memory wanted = abi.encodeCall(escrow.revoke, (_pack(t), STRANGER, ""));
        _fails(STRANGER, address(escrow), wanted, IErrors.NotAParty.selector);
        wanted = abi.encodeCall(escrow.revoke, (_pack(t), ADVISOR, ""));
        _fails(STRANGER, address(escrow), wanted, IErrors.SignatureMissing.selector);
        wanted = abi.encodeCall(escrow.revoke, (_pack(t), CLIENT, "")); // the client only consented
        _fails(CLIENT, address(escrow), wanted, IErrors.NotAParty.selector);
        t.payer = STRANGER;
        CHEATS.prank(STRANGER);
        escrow.revoke(_pack(t), STRANGER, "");
        t.payer = SPONSOR;
        _openFromBalance(t, DEPOSIT);
    }

    /// @dev Wants a client held in a session: they consented and cannot take it back. True, and harmless: they owe
    /// nothing that their meter does not sign, and leave at once.
    function test_a_client_who_regrets_their_consent_leaves_at_once() external {
        Terms memory t = _sponsored();
        _openFromBalance(t, DEPOSIT);
        _works(STRANGER, address(escrow), _leavingCall(t));
        _later(t.closeGrace);
        escrow.finalize(_pack(t));
        _equal(escrow.balanceOf(address(token), SPONSOR), 10_000e6, "the sponsor has it all again");
    }

    /// @dev Wants to bury an account in worthless balances. They stand beside the real one and touch nothing.
    function test_worthless_deposits_for_somebody_touch_no_real_balance() external {
        _stock(CLIENT);
        MadeUpToken junk = new MadeUpToken();
        CHEATS.prank(STRANGER);
        escrow.deposit(address(junk), CLIENT, type(uint128).max);
        _equal(escrow.balanceOf(address(token), CLIENT), 10_000e6, "balance");
        _openFromBalance(_terms(), DEPOSIT);
    }

    // ------------------------------------------------------------------ tips

    /// @dev Wants to drown an advisor's real tips in tips of one base unit, of a token made for it, in anybody's
    /// session. Nothing stops it, and each is recorded with its token, amount and tipper: who counts tips, counts
    /// money.
    function test_tips_of_nearly_nothing_are_recorded_as_what_they_are() external {
        MadeUpToken junk = new MadeUpToken();
        junk.mint(STRANGER, 10);
        CHEATS.prank(STRANGER);
        junk.approve(address(jar), 10);
        CHEATS.recordLogs();
        for (uint256 i = 0; i < 10; ++i) {
            CHEATS.prank(STRANGER);
            jar.tip(ADVISOR, keccak256("anybody's"), address(junk), 1, "");
        }
        Cheats.Log[] memory logs = CHEATS.getRecordedLogs();
        (address of_, uint256 amount,) = abi.decode(logs[9].data, (address, uint256, bytes32));
        _equal(of_, address(junk), "token");
        _equal(amount, 1, "amount");
        _equal(logs[9].topics[2], bytes32(uint256(uint160(STRANGER))), "tipper");
    }

    /// @dev Wants the platform's share to be taken of tips too. A tip knows no share. Known from: fee bases that
    /// swallow tips.
    function test_a_tip_arrives_whole_whatever_share_the_platform_has_in_the_session() external {
        Terms memory t = _interactions();
        t.feeBps = 10_000;
        _open(t, DEPOSIT);
        _close(t, 1);
        CHEATS.prank(CLIENT);
        token.approve(address(jar), 7);
        CHEATS.prank(CLIENT);
        jar.tip(ADVISOR, _idOf(t), address(token), 7, "");
        _equal(token.balanceOf(ADVISOR), 7, "the tip");
        _equal(escrow.balanceOf(address(token), ADVISOR), 0, "the fee");
    }

    // ------------------------------------------------------------------ relayers' gas

    /// @dev Wants a relayer to burn gas on a payout: the recipient burns all that it gets. The relayer's gas limit is
    /// what limits it; the withdrawal fails whole, and its signature holds for another try.
    function test_a_recipient_who_burns_a_relayers_gas_gets_nothing_and_the_signature_still_holds() external {
        GasEater eater = new GasEater();
        CHEATS.prank(CLIENT);
        escrow.deposit{value: 5}(COIN, CLIENT, 5);
        bytes32 message =
            keccak256(abi.encode(_type(WITHDRAWAL_TYPE), CLIENT, COIN, uint256(5), address(eater), uint256(0), time));
        bytes memory signature = _sign(CLIENT_KEY, _digest(message));
        uint256 before = gasleft();
        try escrow.withdrawFor{gas: 150_000}(CLIENT, COIN, 5, address(eater), 0, time, signature) {
            revert("paid");
        } catch {}
        require(before - gasleft() < 160_000, "cost more than the limit");
        _equal(escrow.balanceOf(COIN, CLIENT), 5, "balance");
        eater.stop();
        escrow.withdrawFor(CLIENT, COIN, 5, address(eater), 0, time, signature);
        _equal(address(eater).balance, 5, "paid");
    }
}

/// @dev Burns all the gas that comes with coin, until told to stop.
contract GasEater {
    bool private stopped;

    function stop() external {
        stopped = true;
    }

    receive() external payable {
        if (stopped) return;
        assembly {
            invalid()
        }
    }
}
