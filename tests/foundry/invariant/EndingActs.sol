// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Closing, Session, Settlement, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Pen} from "./GhostMoney.sol";
import {ClosingRow, Reading} from "./GhostSessions.sol";
import {RunningActs} from "./RunningActs.sol";
import {Act} from "./Stage.sol";

/// @title Acts: closing, leaving, rating and answering
abstract contract EndingActs is RunningActs {
    function close(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toClose(seed, _choose(seed, OPEN | CLOSING), address(0)));
    }

    function closeFor(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toCloseFor(seed, _choose(seed, OPEN | CLOSING), address(0)));
    }

    function closeBatch(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toCloseBatch(seed));
    }

    function requestClose(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toRequestClose(seed, _choose(seed, OPEN), address(0)));
    }

    /// @dev ESC-7: often at the very second when grace ends, and at the one before.
    function finalize(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        bytes32 id = _choose(seed, CLOSING);
        if (ghost.status(id) == Status.Open && _chance(seed, "ask first", 50)) {
            _perform(_toRequestClose(seed, id, address(0)));
        }
        if (ghost.status(id) == Status.Closing && _chance(seed, "jump", 75)) {
            uint256 graceEnds = uint256(ghost.session(id).closingAt) + _closeGraceOf(id);
            uint256 to = _chance(seed, "too early", 20) ? graceEnds - 1 : graceEnds;
            if (to > _now) _jumpTo(to);
        }
        _perform(_toFinalize(seed, id, address(0)));
    }

    function rate(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        bytes32 id;
        for (uint256 i = 0; i < 3; ++i) {
            id = _choose(seed ^ (i << 8), CLOSED);
            Session memory s = ghost.session(id);
            if (s.earned != 0 && s.score == 0) break;
        }
        _perform(_toRate(seed, id, address(0)));
    }

    function answer(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        bytes32 id;
        Session memory s;
        for (uint256 i = 0; i < 4; ++i) {
            id = _choose(seed ^ (i << 8), CLOSED);
            s = ghost.session(id);
            if (s.score != 0 && !s.answered) break;
        }
        if (s.score == 0 && _chance(seed, "rate first", 50)) _perform(_toRate(seed, id, address(0)));
        _perform(_toAnswer(seed, id, address(0)));
    }

    // ------------------------------------------------------------------ closing

    function _toClose(uint256 seed, bytes32 id, address forced) internal returns (Act memory a) {
        a.by = forced != address(0) ? forced : _somebody(_advisorOf(id));
        if (forced == address(0) && _chance(seed, "not the advisor", 5)) a.by = _oneOf(seed, "by", _accounts);
        (a.name, a.ids) = ("close", _list(id));
        (Settlement memory real, Reading memory row) = _someVoucher(seed, id);
        a.real = abi.encodeCall(escrow.close, (real));
        a.ghost = abi.encodeCall(ghost.close, (a.by, 0, row));
    }

    function _closingRow(uint256 seed, address by, bytes32 id)
        private
        returns (Closing memory real, ClosingRow memory row)
    {
        (Settlement memory settlement, Reading memory reading) = _someVoucher(seed, id);
        (real.terms, real.voucher, row.reading) = (settlement.terms, settlement.voucher, reading);
        row.deadline = uint40(_now + _roll(seed, "deadline", 3) * 1 hours); // now is in time
        if (_chance(seed, "late", 4)) row.deadline = uint40(_now - 1);
        real.deadline = row.deadline;
        Message memory m = _closing(id, reading.units, reading.journal, row.deadline);
        (real.advisorSignature, row.advisor) = _signOrCall(~seed, by, m);
    }

    function _toCloseFor(uint256 seed, bytes32 id, address forced) internal returns (Act memory a) {
        a.by = _somebody(_chance(seed, "advisor", 15) ? _advisorOf(id) : _oneOf(seed, "by", _accounts));
        if (forced != address(0)) a.by = forced;
        (a.name, a.ids) = ("closeFor", _list(id));
        (Closing memory real, ClosingRow memory row) = _closingRow(seed, a.by, id);
        a.real = abi.encodeCall(escrow.closeFor, (real));
        a.ghost = abi.encodeCall(ghost.closeFor, (a.by, 0, row));
    }

    function _toCloseBatch(uint256 seed) private returns (Act memory a) {
        uint256 rows = 1 + _roll(seed, "rows", 3);
        (a.name, a.ids) = ("closeBatch", new bytes32[](rows));
        a.by = _oneOf(seed, "by", _chance(seed, "advisor", 40) ? _advisors : _accounts);
        Closing[] memory reals = new Closing[](rows);
        ClosingRow[] memory closings = new ClosingRow[](rows);
        for (uint256 i = 0; i < rows; ++i) {
            uint256 own = seed ^ (i + 1);
            bool double = i != 0 && _chance(own, "double", 20); // ESC-16
            a.ids[i] = double ? a.ids[i - 1] : _choose(own, OPEN | CLOSING);
            (reals[i], closings[i]) = _closingRow(own, a.by, a.ids[i]);
        }
        a.real = abi.encodeCall(escrow.closeBatch, (reals));
        a.ghost = abi.encodeCall(ghost.closeBatch, (a.by, 0, closings));
    }

    // ------------------------------------------------------------------ leaving

    function _toRequestClose(uint256 seed, bytes32 id, address forced) internal view returns (Act memory a) {
        address party = _chance(seed, "party", 50) ? _clientOf(id) : _payerOf(id);
        if (_chance(seed, "no party", 4)) party = _oneOf(seed, "anybody", _accounts);
        a.by = _somebody(_chance(seed, "calls", 50) ? party : _oneOf(seed, "by", _accounts));
        if (forced != address(0)) a.by = forced;
        (a.name, a.ids) = ("requestClose", _list(id));
        (bytes memory signature, Pen memory pen) = _signOrCall(seed, a.by, _leaving(party, id));
        a.real = abi.encodeCall(escrow.requestClose, (_packedOf(id), party, signature));
        a.ghost = abi.encodeCall(ghost.requestClose, (a.by, 0, id, party, pen));
    }

    function _toFinalize(uint256 seed, bytes32 id, address forced) internal view returns (Act memory a) {
        (a.name, a.ids) = ("finalize", _list(id));
        a.by = forced == address(0) ? _oneOf(seed, "by", _accounts) : forced;
        a.real = abi.encodeCall(escrow.finalize, (_packedOf(id)));
        a.ghost = abi.encodeCall(ghost.finalize, (a.by, 0, id));
    }

    // ------------------------------------------------------------------ rating

    function _toRate(uint256 seed, bytes32 id, address forced) internal view returns (Act memory a) {
        uint8 score = uint8(1 + _roll(seed, "score", 5));
        uint256 fault = _roll(seed, "rate", 40);
        if (fault == 0) score = 0;
        if (fault == 1) score = 6;
        bytes32 comment = bytes32(seed);
        a.by = _somebody(_chance(seed, "calls", 50) ? _clientOf(id) : _oneOf(seed, "by", _accounts));
        if (forced != address(0)) a.by = forced;
        (a.name, a.ids) = ("rate", _list(id));
        (bytes memory signature, Pen memory pen) = _signOrCall(seed, a.by, _rating(id, score, comment));
        a.real = abi.encodeCall(escrow.rate, (_packedOf(id), score, comment, signature));
        a.ghost = abi.encodeCall(ghost.rate, (a.by, 0, id, score, comment, pen));
    }

    function _toAnswer(uint256 seed, bytes32 id, address forced) internal view returns (Act memory a) {
        a.by = _somebody(_chance(seed, "calls", 50) ? _advisorOf(id) : _oneOf(seed, "by", _accounts));
        if (forced != address(0)) a.by = forced;
        (a.name, a.ids) = ("answer", _list(id));
        (bytes memory signature, Pen memory pen) = _signOrCall(seed, a.by, _answer(id, bytes32(seed)));
        a.real = abi.encodeCall(escrow.answer, (_packedOf(id), bytes32(seed), signature));
        a.ghost = abi.encodeCall(ghost.answer, (a.by, 0, id, bytes32(seed), pen));
    }
}
