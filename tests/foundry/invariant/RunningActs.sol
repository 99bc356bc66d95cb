// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Settlement, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Grant, Pen} from "./GhostMoney.sol";
import {Reading} from "./GhostSessions.sol";
import {OpeningActs} from "./OpeningActs.sol";
import {Act} from "./Stage.sol";

/// @title Acts: topping up and settling
abstract contract RunningActs is OpeningActs {
    uint256 internal constant OPEN = 1 << uint256(Status.Open);
    uint256 internal constant CLOSING = 1 << uint256(Status.Closing);
    uint256 internal constant CLOSED = 1 << uint256(Status.Closed);

    mapping(bytes32 id => uint32) private _metered; // the most units of any voucher so far, mostly

    function topUp(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toTopUp(seed, _choose(seed, OPEN), address(0)));
    }

    function topUpWithAuthorization(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toTopUpWithAuthorization(seed));
    }

    function topUpFromBalance(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        bytes32 id = _choose(seed, OPEN);
        uint80 newDeposit = _higherDeposit(seed, id);
        (uint80 deposit,) = ghost.sums(id);
        if (newDeposit > deposit && ghost.status(id) == Status.Open) _stockFor(seed, id, newDeposit - deposit);
        _perform(_toTopUpFromBalance(seed, id, newDeposit));
    }

    function settle(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toSettle(seed, _choose(seed, OPEN | CLOSING), address(0)));
    }

    function settleBatch(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toSettleBatch(seed, address(0)));
    }

    /// @dev A session in one of the wanted states, mostly; else any, and if there are none, a quote that nobody opened.
    function _choose(uint256 seed, uint256 wanted) internal returns (bytes32 id) {
        id = ghost.pick(seed, _chance(seed, "any state", 6) ? type(uint256).max : wanted);
        if (id == 0) id = _quote(seed, address(0), ANY_TOKEN);
    }

    // ------------------------------------------------------------------ topping up

    function _higherDeposit(uint256 seed, bytes32 id) internal view returns (uint80) {
        (uint256 deposit,) = ghost.sums(id);
        uint256 kind = _roll(seed, "higher", 30);
        if (kind == 0) return uint80(deposit);
        if (kind == 1) return uint80(deposit / 2);
        if (kind == 2) return uint80(deposit + 1);
        deposit += 1 + _roll(seed, "by so much", 20 * uint256(_one(_tokenOf(id))));
        return deposit > type(uint80).max ? type(uint80).max : uint80(deposit);
    }

    function _toTopUp(uint256 seed, bytes32 id, address forced) internal view returns (Act memory a) {
        uint80 newDeposit = _higherDeposit(seed, id);
        a.by = forced != address(0) ? forced : _somebody(_payerOf(id));
        if (forced == address(0) && _chance(seed, "not the payer", 4)) a.by = _oneOf(seed, "by", _accounts);
        (a.name, a.ids) = ("topUp", _list(id));
        (uint80 deposit,) = ghost.sums(id);
        if (_tokenOf(id) == COIN && newDeposit > deposit) a.value = newDeposit - deposit;
        if (_chance(seed, "wrong value", 3)) a.value += 1;
        a.real = abi.encodeCall(escrow.topUp, (_packedOf(id), newDeposit));
        a.ghost = abi.encodeCall(ghost.topUp, (a.by, a.value, id, newDeposit));
    }

    function _toTopUpWithAuthorization(uint256 seed) private returns (Act memory a) {
        bytes32 id;
        for (uint256 i = 0; i < 4; ++i) {
            id = _choose(seed ^ (i << 8), OPEN);
            if (_tokenOf(id) == DOLLAR) break;
        }
        uint80 newDeposit = _higherDeposit(seed, id);
        (uint80 deposit,) = ghost.sums(id);
        // What will be asked for, or, where that can't be, something.
        uint256 added = newDeposit > deposit ? newDeposit - deposit : 1;
        (Authorization memory authorization, Grant memory grant) =
            _authorize(seed, _tokenOf(id), _payerOf(id), added, keccak256(abi.encode(id, newDeposit)));
        (a.name, a.by, a.ids) = ("topUpWithAuthorization", _oneOf(seed, "by", _accounts), _list(id));
        a.real = abi.encodeCall(escrow.topUpWithAuthorization, (_packedOf(id), newDeposit, authorization));
        a.ghost = abi.encodeCall(ghost.topUpWithAuthorization, (a.by, 0, id, newDeposit, grant));
    }

    function _toTopUpFromBalance(uint256 seed, bytes32 id, uint80 newDeposit) private view returns (Act memory a) {
        a.by = _somebody(_chance(seed, "calls", 40) ? _payerOf(id) : _oneOf(seed, "by", _accounts));
        (a.name, a.ids) = ("topUpFromBalance", _list(id));
        (bytes memory signature, Pen memory pen) = _signOrCall(seed, a.by, _topUp(id, newDeposit));
        a.real = abi.encodeCall(escrow.topUpFromBalance, (_packedOf(id), newDeposit, signature));
        a.ghost = abi.encodeCall(ghost.topUpFromBalance, (a.by, 0, id, newDeposit, pen));
    }

    // ------------------------------------------------------------------ vouchers

    /// @dev Few and many, stale and new, to the edge of time, deposit, step and cap, and one beyond.
    function _someUnits(uint256 seed, bytes32 id) internal view returns (uint32) {
        uint256 kind = _roll(seed, "units", 100);
        if (kind < 3) return 0;
        if (kind < 6) return type(uint32).max;
        if (kind < 12) return 1 + uint32(_roll(seed, "few", 5));
        if (kind < 22) return _edge(seed, id);
        (uint256 most, uint256 deposit, uint256 earned) = ghost.meterAt(id);
        uint32 inTime = most > type(uint32).max ? type(uint32).max : uint32(most);
        if (kind < 27) return inTime == type(uint32).max ? inTime : inTime + 1;
        if (kind < 37) return inTime;
        if (kind < 45) return ghost.unitsWorth(id, deposit, inTime); // the whole deposit, if time allows
        if (kind < 49) return ghost.unitsWorth(id, earned, inTime); // nothing new
        if (kind < 59) return 1 + uint32(_roll(seed, "many", inTime < 60 ? inTime : 60));
        uint32 units = _metered[id] + 1 + uint32(_roll(seed, "more", 4)); // something new
        return units < inTime ? units : inTime;
    }

    function _edge(uint256 seed, bytes32 id) private view returns (uint32) {
        uint256 kind = _roll(seed, "edge", 3);
        uint32 edge = _includedUnitsOf(id);
        if (kind == 1) edge = _stepUnitsOf(id);
        if (kind == 2) edge = _maxUnitsOf(id);
        return edge + uint32(_roll(seed, "side", 2));
    }

    function _someVoucher(uint256 seed, bytes32 id) internal returns (Settlement memory real, Reading memory row) {
        real.terms = _packedOf(id);
        if (_chance(seed, "another spelling", 4)) _misspell(seed, real.terms);
        uint32 units = _someUnits(seed, id);
        if (units > _metered[id] && units < 1_000) _metered[id] = units;
        (real.voucher, row) = _voucher(seed, id, units);
    }

    function _toSettle(uint256 seed, bytes32 id, address forced) internal returns (Act memory a) {
        (a.name, a.ids) = ("settle", _list(id));
        a.by = forced == address(0) ? _oneOf(seed, "by", _accounts) : forced;
        (Settlement memory real, Reading memory row) = _someVoucher(seed, id);
        a.real = abi.encodeCall(escrow.settle, (real));
        a.ghost = abi.encodeCall(ghost.settle, (a.by, 0, row));
    }

    function _toSettleBatch(uint256 seed, address forced) internal returns (Act memory a) {
        uint256 rows = 1 + _roll(seed, "rows", 4);
        (a.name, a.ids) = ("settleBatch", new bytes32[](rows));
        a.by = forced == address(0) ? _oneOf(seed, "by", _accounts) : forced;
        Settlement[] memory reals = new Settlement[](rows);
        Reading[] memory readings = new Reading[](rows);
        for (uint256 i = 0; i < rows; ++i) {
            uint256 own = seed ^ (i + 1);
            uint256 double = i == 0 ? 0 : _roll(own, "double", 6);
            a.ids[i] = double == 1 || double == 2 ? a.ids[i - 1] : _choose(own, OPEN | CLOSING);
            (reals[i], readings[i]) = _someVoucher(own, a.ids[i]);
            if (double == 1) (reals[i], readings[i]) = (reals[i - 1], readings[i - 1]); // ESC-16
        }
        a.real = abi.encodeCall(escrow.settleBatch, (reals));
        a.ghost = abi.encodeCall(ghost.settleBatch, (a.by, 0, readings));
    }
}
