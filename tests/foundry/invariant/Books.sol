// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ISessionEscrow, Session, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {PackedTerms} from "../../../contracts/libraries/Terms.sol";
import {Cheats} from "../Base.sol";

/// @title The second ledger: what an auditor knows who reads nothing but the escrow's log
/// @dev It keeps flows, never a running balance: what was earned is added up anew from each session's total, so that it
/// can't make the mistake that the escrow or the ghost might make on the way.
contract Books {
    Cheats private constant CHEATS = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));

    error UnknownEvent(bytes32 topic);
    error LogsDisagree(Cheats.Log[] logs, uint256 escrowLog, uint256 ghostLog);

    struct Entry {
        Session session;
        PackedTerms terms;
    }

    struct Tally {
        uint128 count;
        uint128 sum;
    }

    bytes32[] public ids; // of sessions that were opened or revoked
    mapping(bytes32 id => Entry) private _entries;
    mapping(address advisor => Tally) public ratingOf;
    mapping(address token => mapping(address account => int256)) public flows; // of balances, without what was earned
    mapping(address token => int256) public held; // what the escrow should have

    /// @dev Compares what the escrow emitted with what the ghost emitted, and writes it into the books.
    function read(address escrow, address ghost, uint40 time) external {
        read(CHEATS.getRecordedLogs(), escrow, ghost, time);
    }

    function read(Cheats.Log[] memory logs, address escrow, address ghost, uint40 time) public {
        uint256 told = _next(logs, 0, ghost);
        for (uint256 i = _next(logs, 0, escrow); i < logs.length; i = _next(logs, i + 1, escrow)) {
            if (told == logs.length || !_same(logs[i], logs[told])) revert LogsDisagree(logs, i, told);
            _write(logs[i], time);
            told = _next(logs, told + 1, ghost);
        }
        if (told != logs.length) revert LogsDisagree(logs, logs.length, told);
    }

    /// @dev Where the next log of `emitter` stands; the number of logs if there is none.
    function _next(Cheats.Log[] memory logs, uint256 from, address emitter) private pure returns (uint256 i) {
        i = from;
        while (i < logs.length && logs[i].emitter != emitter) ++i;
    }

    function _same(Cheats.Log memory a, Cheats.Log memory b) private pure returns (bool) {
        return keccak256(abi.encodePacked(a.topics)) == keccak256(abi.encodePacked(b.topics))
            && keccak256(a.data) == keccak256(b.data);
    }

    function _write(Cheats.Log memory log, uint40 time) private {
        bytes32 topic = log.topics[0];
        if (topic == ISessionEscrow.Deposited.selector) _deposited(log);
        else if (topic == ISessionEscrow.Withdrawn.selector) _withdrawn(log);
        else if (topic == ISessionEscrow.SessionOpened.selector) _opened(log);
        else if (topic == ISessionEscrow.ToppedUp.selector) _toppedUp(log);
        else if (topic == ISessionEscrow.Settled.selector) _settled(log);
        else if (topic == ISessionEscrow.CloseRequested.selector) _closeRequested(log);
        else if (topic == ISessionEscrow.SessionClosed.selector) _closed(log, time);
        else if (topic == ISessionEscrow.RefundCredited.selector) _refundCredited(log);
        else if (topic == ISessionEscrow.Revoked.selector) _revoked(log, time);
        else if (topic == ISessionEscrow.Rated.selector) _rated(log);
        else if (topic == ISessionEscrow.Answered.selector) _entries[log.topics[1]].session.answered = true;
        else if (topic != ISessionEscrow.RowSkipped.selector) revert UnknownEvent(topic);
    }

    // ------------------------------------------------------------------ reading events

    function _deposited(Cheats.Log memory log) private {
        (, uint256 amount) = abi.decode(log.data, (address, uint256));
        _flow(_account(log.topics[1]), _account(log.topics[2]), int256(amount));
        held[_account(log.topics[1])] += int256(amount);
    }

    function _withdrawn(Cheats.Log memory log) private {
        (, uint256 amount) = abi.decode(log.data, (address, uint256));
        _flow(_account(log.topics[1]), _account(log.topics[2]), -int256(amount));
        held[_account(log.topics[1])] -= int256(amount);
    }

    /// @dev The slot's bits as docs/protocol.md has them.
    function _opened(Cheats.Log memory log) private {
        Entry storage e = _entries[log.topics[1]];
        uint256 slot;
        (e.terms, slot) = abi.decode(log.data, (PackedTerms, uint256));
        (e.session.status, e.session.deposit, e.session.openedAt) =
        (Status.Open, uint80(slot >> 176), uint40(slot >> 56));
        e.session.refundsToBalance = slot & 2 != 0;
        ids.push(log.topics[1]);
        _fund(e, e.session.deposit, e.session.refundsToBalance);
    }

    function _toppedUp(Cheats.Log memory log) private {
        Entry storage e = _entries[log.topics[1]];
        (uint80 deposit, bool fromBalance) = abi.decode(log.data, (uint80, bool));
        _fund(e, deposit - e.session.deposit, fromBalance);
        e.session.deposit = deposit;
    }

    function _settled(Cheats.Log memory log) private {
        (, uint80 earned,) = abi.decode(log.data, (uint32, uint80, bytes32));
        _entries[log.topics[1]].session.earned = earned;
    }

    function _closeRequested(Cheats.Log memory log) private {
        Entry storage e = _entries[log.topics[1]];
        uint40 graceEnds = abi.decode(log.data, (uint40));
        (e.session.status, e.session.closingAt) = (Status.Closing, graceEnds - uint24(uint256(e.terms.token)));
    }

    function _closed(Cheats.Log memory log, uint40 time) private {
        Entry storage e = _entries[log.topics[1]];
        (, uint80 earned,) = abi.decode(log.data, (uint32, uint80, bytes32));
        (e.session.status, e.session.earned) = (Status.Closed, earned);
        (e.session.closingAt, e.session.closedAt) = (0, time);
        int256 refund = int256(uint256(e.session.deposit - earned));
        if (e.session.refundsToBalance) _flow(_token(e), _payer(e), refund);
        else held[_token(e)] -= refund;
    }

    function _refundCredited(Cheats.Log memory log) private {
        Entry storage e = _entries[log.topics[1]];
        int256 refund = int256(uint256(abi.decode(log.data, (uint80))));
        _flow(_token(e), _account(log.topics[2]), refund);
        held[_token(e)] += refund;
    }

    function _revoked(Cheats.Log memory log, uint40 time) private {
        Entry storage e = _entries[log.topics[1]];
        (e.session.status, e.session.closedAt) = (Status.Revoked, time);
        ids.push(log.topics[1]);
    }

    function _rated(Cheats.Log memory log) private {
        (uint8 score,) = abi.decode(log.data, (uint8, bytes32));
        _entries[log.topics[1]].session.score = score;
        ratingOf[_account(log.topics[3])].count += 1;
        ratingOf[_account(log.topics[3])].sum += score;
    }

    function _fund(Entry storage e, uint80 amount, bool fromBalance) private {
        if (fromBalance) _flow(_token(e), _payer(e), -int256(uint256(amount)));
        else held[_token(e)] += int256(uint256(amount));
    }

    function _flow(address token, address account, int256 amount) private {
        flows[token][account] += amount;
    }

    // ------------------------------------------------------------------ what the books say

    /// @dev As `ISessionEscrow.session`.
    function session(bytes32 id) external view returns (Session memory) {
        return _entries[id].session;
    }

    function count() external view returns (uint256) {
        return ids.length;
    }

    /// @dev ESC-15 in closed form, for one token: what came and went, and of each session's total the platform's part,
    /// rounded down, and the rest to the advisor.
    function balances(address token, address[] calldata accounts) external view returns (int256[] memory sums) {
        sums = new int256[](accounts.length);
        for (uint256 i = 0; i < accounts.length; ++i) {
            sums[i] = flows[token][accounts[i]];
        }
        for (uint256 i = 0; i < ids.length; ++i) {
            Entry storage e = _entries[ids[i]];
            if (_token(e) != token || e.session.earned == 0) continue;
            uint256 earned = e.session.earned;
            uint256 part = earned * uint16(uint256(e.terms.client)) / 10_000;
            _add(sums, accounts, _account(e.terms.advisor >> 96), earned - part);
            if (part != 0) _add(sums, accounts, _account(e.terms.share >> 96), part);
        }
    }

    /// @dev What waits in open sessions, for one token.
    function waiting(address token) external view returns (uint256 sum) {
        for (uint256 i = 0; i < ids.length; ++i) {
            Entry storage e = _entries[ids[i]];
            bool runs = e.session.status == Status.Open || e.session.status == Status.Closing;
            if (runs && _token(e) == token) sum += e.session.deposit - e.session.earned;
        }
    }

    function _add(int256[] memory sums, address[] calldata accounts, address account, uint256 amount) private pure {
        uint256 i = 0;
        while (accounts[i] != account) ++i; // somebody unknown was paid: out of bounds
        sums[i] += int256(amount);
    }

    function _account(bytes32 word) private pure returns (address) {
        return address(uint160(uint256(word)));
    }

    function _token(Entry storage e) private view returns (address) {
        return _account(e.terms.token >> 96);
    }

    function _payer(Entry storage e) private view returns (address payer) {
        payer = _account(e.terms.payer >> 96);
        if (payer == address(0)) payer = _account(e.terms.client >> 96);
    }
}
