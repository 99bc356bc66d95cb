// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ISessionEscrow, Session, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Party} from "../../../contracts/interfaces/IErrors.sol";
import {Slot} from "../../../contracts/libraries/Slot.sol";
import {PackedTerms} from "../../../contracts/libraries/Terms.sol";
import {Hashing, Tariff, Terms} from "../Base.sol";
import {GhostMoney, Grant, Pen} from "./GhostMoney.sol";

/// @dev An opening, as the ghost sees it. Terms have other spellings than the one that opens: `dirt` stands in the
/// sixteen lowest bits of the payer's word; `spelled`: the payer is written out though it is the client.
struct OpeningRow {
    bytes32 id;
    uint80 deposit;
    uint16 dirt;
    bool spelled;
    Pen advisor;
    Pen client;
    Pen payer;
}

/// @dev A voucher, as the ghost sees it.
struct Reading {
    bytes32 id;
    uint32 units;
    bytes32 journal;
    Pen pen;
}

struct ClosingRow {
    Reading reading;
    uint40 deadline;
    Pen advisor;
}

/// @title The ghost ledger: sessions and ratings
abstract contract GhostSessions is GhostMoney, Hashing {
    struct Life {
        uint32 place; // in `running`
        uint40 until; // unix seconds: when the clock of a time tariff stopped; 0 = it runs
        Session session;
        Terms terms;
    }

    struct Tally {
        uint128 count;
        uint128 sum;
    }

    bytes32[] public ids; // of everything that was ever quoted
    bytes32[] internal running; // open or closing
    mapping(bytes32 id => Life) internal lives;
    mapping(address advisor => Tally) public ratingOf;

    /// @dev Somebody drew up terms. Nothing is on the chain yet.
    function quote(bytes32 id, Terms calldata terms) external {
        ids.push(id);
        lives[id].terms = terms;
    }

    // ------------------------------------------------------------------ opening

    function open(address by, uint256 value, OpeningRow calldata row) external returns (bytes32) {
        Life storage life = lives[row.id];
        if (by != life.terms.payer) revert SignatureMissing(life.terms.payer);
        _begin(by, life, row, false);
        _take(by, value, life.terms.token, row.deposit);
        return row.id;
    }

    function openWithAuthorization(address by, uint256, OpeningRow calldata row, Grant calldata grant)
        external
        returns (bytes32)
    {
        Life storage life = lives[row.id];
        _begin(by, life, row, false);
        _takeGranted(life.terms.token, life.terms.payer, row.deposit, row.id, grant);
        return row.id;
    }

    function openFromBalance(address by, uint256, OpeningRow calldata row) external returns (bytes32) {
        Life storage life = lives[row.id];
        _refuseOpening(by, life, row);
        _consents(by, life.terms.payer, row.payer);
        _debit(life.terms.token, life.terms.payer, row.deposit);
        _write(life, row, true);
        return row.id;
    }

    function openBatch(address by, uint256, OpeningRow[] calldata rows) external {
        for (uint256 i = 0; i < rows.length; ++i) {
            try this.openFromBalance(by, 0, rows[i]) {}
            catch (bytes memory why) {
                emit ISessionEscrow.RowSkipped(i, rows[i].id, why);
            }
        }
    }

    function revoke(address by, uint256, bytes32 id, address party, Pen calldata pen) external {
        Life storage life = lives[id];
        _mustBeEither(party, life.terms.advisor, life.terms.payer);
        if (life.session.status != Status.None) revert SessionExists(id);
        _consents(by, party, pen);
        (life.session.status, life.session.closedAt) = (Status.Revoked, uint40(time));
        emit ISessionEscrow.Revoked(id, party);
    }

    function _begin(address by, Life storage life, OpeningRow calldata row, bool fromBalance) private {
        _refuseOpening(by, life, row);
        _write(life, row, fromBalance);
    }

    /// @dev ESC-11: the advisor and the client signed or call; each way to open asks for the payer by itself.
    function _refuseOpening(address by, Life storage life, OpeningRow calldata row) private view {
        _refuseTerms(life, row);
        Terms storage t = life.terms;
        _refuseParties(life, row);
        if (life.session.status != Status.None) revert SessionExists(row.id);
        _consents(by, t.advisor, row.advisor);
        if (t.client != t.payer) _consents(by, t.client, row.client);
    }

    function _refuseTerms(Life storage life, OpeningRow calldata row) private view {
        Terms storage t = life.terms;
        Tariff storage a = t.tariff;
        if (a.stepUnits == 0 && a.stepPrice != 0) revert StepPriceWithoutStep(a.stepPrice);
        if (a.stepUnits != 0 && a.stepUnits <= a.includedUnits) {
            revert StepInsideFreeUnits(a.stepUnits, a.includedUnits);
        }
        if (a.unitSeconds > 1 days) revert UnitTooLong(a.unitSeconds, 1 days);
        if (t.feeBps > 10_000) revert ShareTooHigh(t.feeBps, 10_000);
        if (t.feeBps != 0 && t.feeRecipient == address(0)) revert ShareWithoutRecipient(t.feeBps);
        if (t.closeGrace < 10 minutes || t.closeGrace > 7 days) {
            revert GraceOutOfRange(t.closeGrace, 10 minutes, 7 days);
        }
        if (t.openBefore <= time) revert QuoteExpired(t.openBefore, uint40(time));
        if (t.openBefore > time + 30 days) revert QuoteTooFarAhead(t.openBefore, uint40(time + 30 days));
        if (row.dirt != 0) _refuseSpelling(life, row);
        uint256 first = _firstPrice(a);
        uint256 needed = a.connectFee + first;
        if (needed == 0) {
            bool capped = a.maxUnits != 0 && a.maxUnits <= a.includedUnits;
            if (capped) revert CapWithinFreeUnits(a.maxUnits, a.includedUnits);
            revert NothingToPay();
        }
        if (row.deposit < needed) revert DepositTooSmall(needed, row.deposit);
    }

    function _refuseSpelling(Life storage life, OpeningRow calldata row) private view {
        PackedTerms memory p = _pack(life.terms);
        bytes32 payer = p.payer | bytes32(uint256(row.dirt));
        if (row.spelled) payer |= bytes32(bytes20(life.terms.payer));
        revert TermsNotCanonical(payer, p.advisor);
    }

    function _refuseParties(Life storage life, OpeningRow calldata row) private view {
        Terms storage t = life.terms;
        if (t.client == t.advisor) revert InvalidParty(Party.Client, t.client);
        _refuseParty(Party.Client, t.client);
        if (row.spelled) _refuseSpelling(life, row);
        _refuseParty(Party.Payer, t.payer);
        _refuseParty(Party.Advisor, t.advisor);
        if (t.meterKey == t.advisor) revert InvalidParty(Party.MeterKey, t.meterKey);
        _refuseParty(Party.MeterKey, t.meterKey);
        if (t.token == ESCROW) revert InvalidParty(Party.Token, ESCROW);
        if (t.feeRecipient == ESCROW) revert InvalidParty(Party.FeeRecipient, ESCROW);
    }

    function _refuseParty(Party party, address account) private view {
        if (account == address(0) || account == ESCROW) revert InvalidParty(party, account);
    }

    function _write(Life storage life, OpeningRow calldata row, bool fromBalance) private {
        life.place = uint32(running.length);
        running.push(row.id);
        Session storage s = life.session;
        (s.status, s.deposit, s.openedAt, s.refundsToBalance) = (Status.Open, row.deposit, uint40(time), fromBalance);
        uint256 slot = uint256(row.deposit) << 176 | time << 56 | (fromBalance ? 3 : 1); // as docs/protocol.md has it
        emit ISessionEscrow.SessionOpened(row.id, life.terms.advisor, _pack(life.terms), Slot.wrap(slot));
    }

    // ------------------------------------------------------------------ while a session runs

    function topUp(address by, uint256 value, bytes32 id, uint80 newDeposit) external {
        Terms storage t = lives[id].terms;
        if (by != t.payer) revert SignatureMissing(t.payer);
        uint80 added = _raise(id, newDeposit, false);
        _take(by, value, t.token, added);
    }

    function topUpWithAuthorization(address, uint256, bytes32 id, uint80 newDeposit, Grant calldata grant) external {
        Terms storage t = lives[id].terms;
        uint80 added = _raise(id, newDeposit, false);
        _takeGranted(t.token, t.payer, added, keccak256(abi.encode(id, newDeposit)), grant);
    }

    function topUpFromBalance(address by, uint256, bytes32 id, uint80 newDeposit, Pen calldata pen) external {
        Terms storage t = lives[id].terms;
        _consents(by, t.payer, pen);
        uint80 added = _raise(id, newDeposit, true);
        _debit(t.token, t.payer, added);
    }

    function _raise(bytes32 id, uint80 newDeposit, bool fromBalance) private returns (uint80 added) {
        Session storage s = _running(id);
        if (s.status == Status.Closing) revert AlreadyClosing(id, s.closingAt);
        if (newDeposit <= s.deposit) revert DepositNotRaised(s.deposit, newDeposit);
        added = newDeposit - s.deposit;
        s.deposit = newDeposit;
        emit ISessionEscrow.ToppedUp(id, newDeposit, fromBalance);
    }

    function settle(address, uint256, Reading calldata r) external {
        Life storage life = lives[r.id];
        uint80 fee = _proven(life, r);
        uint80 earned = life.session.earned;
        if (fee <= earned) revert StaleVoucher(earned, fee);
        _earn(life, fee);
        emit ISessionEscrow.Settled(r.id, r.units, fee, r.journal);
    }

    function settleBatch(address by, uint256, Reading[] calldata rows) external {
        for (uint256 i = 0; i < rows.length; ++i) {
            try this.settle(by, 0, rows[i]) {}
            catch (bytes memory why) {
                emit ISessionEscrow.RowSkipped(i, rows[i].id, why);
            }
        }
    }

    /// @dev ESC-3, ESC-4, ESC-5: what a voucher is worth, cut at the deposit.
    function _proven(Life storage life, Reading calldata r) private view returns (uint80) {
        Session storage s = _running(r.id);
        if (r.units == 0) return 0;
        Terms storage t = life.terms;
        if (r.pen.high != 0) revert HighS(r.pen.high);
        if (r.pen.by != t.meterKey) revert WrongSigner(t.meterKey, r.pen.by);
        uint256 most = _mostUnits(life);
        if (r.units > most) revert TooManyUnits(most, r.units);
        uint256 fee = _fee(t.tariff, r.units);
        return fee < s.deposit ? uint80(fee) : s.deposit;
    }

    /// @dev ESC-5: the most units that time allows; without bound where units are interactions.
    function _mostUnits(Life storage life) internal view returns (uint256) {
        uint256 unit = life.terms.tariff.unitSeconds;
        if (unit == 0) return type(uint256).max;
        uint256 until = life.until == 0 ? time : life.until;
        return (until - life.session.openedAt) / unit + 1;
    }

    /// @dev ESC-15: platform and advisor have, in total, what the whole sum gives them.
    function _earn(Life storage life, uint80 after_) private {
        Terms storage t = life.terms;
        uint256 before = life.session.earned;
        uint256 platformHas = before * t.feeBps / 10_000;
        uint256 platformGets = uint256(after_) * t.feeBps / 10_000;
        balanceOf[t.token][t.feeRecipient] += platformGets - platformHas;
        balanceOf[t.token][t.advisor] += (after_ - platformGets) - (before - platformHas);
        life.session.earned = after_;
    }

    // ------------------------------------------------------------------ ending

    function close(address by, uint256, Reading calldata r) external {
        Life storage life = lives[r.id];
        if (by != life.terms.advisor) revert SignatureMissing(life.terms.advisor);
        _close(life, r);
    }

    function closeFor(address by, uint256, ClosingRow calldata row) external {
        Life storage life = lives[row.reading.id];
        bool calls = by == life.terms.advisor && !row.advisor.given;
        if (!calls && time > row.deadline) revert SignatureExpired(row.deadline, time);
        _consents(by, life.terms.advisor, row.advisor);
        _close(life, row.reading);
    }

    function closeBatch(address by, uint256, ClosingRow[] calldata rows) external {
        for (uint256 i = 0; i < rows.length; ++i) {
            try this.closeFor(by, 0, rows[i]) {}
            catch (bytes memory why) {
                emit ISessionEscrow.RowSkipped(i, rows[i].reading.id, why);
            }
        }
    }

    function requestClose(address by, uint256, bytes32 id, address party, Pen calldata pen) external {
        Life storage life = lives[id];
        _mustBeEither(party, life.terms.client, life.terms.payer);
        Session storage s = _running(id);
        if (s.status == Status.Closing) revert AlreadyClosing(id, s.closingAt);
        _consents(by, party, pen);
        (s.status, s.closingAt, life.until) = (Status.Closing, uint40(time), uint40(time));
        emit ISessionEscrow.CloseRequested(id, party, uint40(time) + life.terms.closeGrace);
    }

    function finalize(address, uint256, bytes32 id) external {
        Life storage life = lives[id];
        Session storage s = _running(id);
        if (s.status != Status.Closing) revert NotClosing(id);
        uint40 graceEnds = s.closingAt + life.terms.closeGrace;
        if (time < graceEnds) revert GraceRunning(graceEnds, uint40(time));
        _end(life, id, s.earned, 0, 0);
    }

    function _close(Life storage life, Reading calldata r) private {
        uint80 fee = _proven(life, r);
        uint80 earned = life.session.earned;
        _end(life, r.id, fee > earned ? fee : earned, r.units, r.units == 0 ? bytes32(0) : r.journal);
    }

    function _end(Life storage life, bytes32 id, uint80 earned, uint32 units, bytes32 journal) private {
        Session storage s = life.session;
        if (life.until == 0) life.until = uint40(time);
        bytes32 last = running[running.length - 1];
        (running[life.place], lives[last].place) = (last, life.place);
        running.pop();
        (s.status, s.closingAt, s.closedAt) = (Status.Closed, 0, uint40(time));
        _earn(life, earned);
        emit ISessionEscrow.SessionClosed(id, units, earned, journal);
        uint80 refund = s.deposit - earned;
        if (refund == 0) return;
        (address token, address payer) = (life.terms.token, life.terms.payer);
        if (s.refundsToBalance) {
            balanceOf[token][payer] += refund;
        } else if (!_pay(token, payer, refund, true)) {
            balanceOf[token][payer] += refund; // ESC-8
            emit ISessionEscrow.RefundCredited(id, payer, refund);
        }
    }

    // ------------------------------------------------------------------ ratings (ESC-10)

    function rate(address by, uint256, bytes32 id, uint8 score, bytes32 comment, Pen calldata pen) external {
        Life storage life = lives[id];
        Session storage s = life.session;
        if (s.status != Status.Closed) revert SessionNotClosed(id);
        if (score < 1 || score > 5) revert ScoreOutOfRange(score);
        if (s.earned == 0) revert NothingEarned(id);
        if (s.score != 0) revert AlreadyRated(id, s.score);
        if (time > s.closedAt + 30 days) revert RatingWindowOver(s.closedAt + 30 days, uint40(time));
        _consents(by, life.terms.client, pen);
        s.score = score;
        ratingOf[life.terms.advisor].count += 1;
        ratingOf[life.terms.advisor].sum += score;
        emit ISessionEscrow.Rated(id, life.terms.client, life.terms.advisor, score, comment);
    }

    function answer(address by, uint256, bytes32 id, bytes32 hash, Pen calldata pen) external {
        Life storage life = lives[id];
        if (life.session.score == 0) revert NotRated(id);
        if (life.session.answered) revert AlreadyAnswered(id);
        _consents(by, life.terms.advisor, pen);
        life.session.answered = true;
        emit ISessionEscrow.Answered(id, life.terms.advisor, hash);
    }

    // ------------------------------------------------------------------ shared

    function _running(bytes32 id) private view returns (Session storage s) {
        s = lives[id].session;
        if (s.status != Status.Open && s.status != Status.Closing) revert SessionNotOpen(id);
    }

    function _mustBeEither(address by, address first, address second) private pure {
        if (by != first && by != second) revert NotAParty(by, first, second);
    }

    /// @dev docs/rules.md: fee(units) = C + p · max(0, min(u, S) − I) + q · max(0, u − S), u = min(units, M).
    function _fee(Tariff memory a, uint256 units) internal pure returns (uint256) {
        if (units == 0) return 0;
        uint256 infinity = type(uint256).max;
        uint256 cap = a.maxUnits == 0 ? infinity : a.maxUnits;
        uint256 step = a.stepUnits == 0 ? infinity : a.stepUnits;
        uint256 used = _min(units, cap);
        uint256 atFirst = _lessOrZero(_min(used, step), a.includedUnits);
        return a.connectFee + a.unitPrice * atFirst + a.stepPrice * _lessOrZero(used, step);
    }

    /// @dev The price of the first unit that costs something; zero if none does.
    function _firstPrice(Tariff storage a) private view returns (uint256) {
        uint256 last = a.maxUnits == 0 ? type(uint32).max : a.maxUnits; // no voucher has more units
        if (a.unitPrice != 0 && a.includedUnits < last) return a.unitPrice;
        if (a.stepUnits != 0 && a.stepUnits < last) return a.stepPrice;
        return 0;
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    function _lessOrZero(uint256 a, uint256 b) private pure returns (uint256) {
        return a > b ? a - b : 0;
    }
}
