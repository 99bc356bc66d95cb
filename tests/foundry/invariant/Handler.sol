// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {TestUSD} from "../../../contracts/TestUSD.sol";
import {ISessionEscrow, Settlement, Status, Voucher} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Cast} from "./Cast.sol";
import {Reading} from "./GhostSessions.sol";
import {Nesting, Plot} from "./Nesting.sol";
import {Mood, Persona, Trigger} from "./Persona.sol";
import {Act} from "./Stage.sol";
import {Surroundings} from "./Surroundings.sol";

/// @title Everything that happens in a life, by chance
/// @dev Each external function here and in the parts plays one act; its one argument is the seed of the dice.
contract Handler is Surroundings, Nesting {
    constructor(ISessionEscrow escrow_, TestUSD dollar) Cast(escrow_, dollar) {}

    // ------------------------------------------------------------------ acts within acts

    /// @dev A contract account is called in the middle of a payment, and calls the escrow itself: before its tokens go in
    /// (the whole act may fail for it), when tokens or coin come out, or when a refund is pushed to it.
    function reenter(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        Plot memory p;
        p.persona = _personas[_roll(seed, "persona", _personas.length)];
        _cheerUp(p.persona);
        _plotOuter(seed, address(p.persona), p);
        p.inner = _inner(seed >> 8, address(p.persona), p.outer);
        // In a pushed refund a failure that is passed on would leave no trace of whether it was for want of gas.
        p.insist = !p.pushed && _chance(seed, "insist", 30);
        _performAround(p);
    }

    function _plotOuter(uint256 seed, address account, Plot memory p) private {
        uint256 kind = _roll(seed, "outer", 8);
        p.trigger = Trigger.Sending;
        if (kind == 0) {
            p.outer = _asDeposit("deposit", account, HOOK, account, 1 + _roll(seed, "amount", 100 ether), 0);
        } else if (kind == 1 || kind == 2) {
            p.outer = _toOpen(seed, account, HOOK);
        } else if (kind == 3) {
            p.outer = _toTopUp(seed, _paidBy(seed, account, HOOK), account);
        } else {
            address token = _chance(seed, "coin", 40) ? COIN : HOOK;
            p.trigger = token == COIN ? Trigger.Coin : Trigger.Receiving;
            p.pushed = kind >= 6;
            p.outer = p.pushed ? _toEnd(seed, _paidBy(seed, account, token)) : _toTakeOut(seed, account, token);
        }
    }

    function _cheerUp(Persona persona) private {
        persona.become(Mood.Fine);
        ghost.feel(address(persona), Mood.Fine);
    }

    /// @dev A session that this account pays for out of its wallet; a new one, if there is none.
    function _paidBy(uint256 seed, address payer, address token) private returns (bytes32 id) {
        id = ghost.pickPaidBy(seed, payer, token);
        for (uint256 i = 0; i < 4 && id == 0; ++i) {
            Act memory a = _toOpen(uint256(keccak256(abi.encode(seed, i))), payer, token);
            if (_perform(a)) id = a.ids[0];
        }
        if (id == 0) id = _choose(seed, OPEN);
    }

    /// @dev The session ends with a refund: closed by its advisor, or finalized when it is time.
    function _toEnd(uint256 seed, bytes32 id) private returns (Act memory) {
        if (ghost.status(id) != Status.Closing) return _toClose(seed, id, address(0));
        uint256 graceEnds = uint256(ghost.session(id).closingAt) + _closeGraceOf(id);
        if (_now < graceEnds) _jumpTo(graceEnds);
        return _toFinalize(seed, id, address(0));
    }

    function _toTakeOut(uint256 seed, address account, address token) private returns (Act memory) {
        _stock(token, account, 1 + _roll(seed, "stock", 50 ether));
        uint256 amount = 1 + _roll(seed, "take", ghost.balanceOf(token, account));
        return _asWithdraw("withdraw", account, token, amount, account);
    }

    function _inner(uint256 seed, address by, Act memory outer) private returns (Act memory a) {
        uint256 kind = _roll(seed, "inner", 14);
        bytes32 id = outer.ids.length != 0 && _chance(seed, "same", 50) ? outer.ids[0] : _choose(seed, OPEN | CLOSING);
        if (kind < 2) a = _toWithdraw(seed, by);
        else if (kind == 2) a = _toDeposit(seed, by);
        else if (kind == 3) a = _asDeposit("deposit", by, HOOK, by, 1 + _roll(seed, "amount", 1 ether), 0);
        else if (kind == 4) a = _toOpen(seed, by, ANY_TOKEN);
        else if (kind == 5) a = _toOpen(seed, by, HOOK);
        else if (kind == 6) a = _toTopUp(seed, id, by);
        else if (kind == 7) a = _toSettle(seed, id, by);
        else if (kind == 8) a = _toSettleBatch(seed, by);
        else if (kind == 9) a = _toCloseFor(seed, id, by);
        else if (kind == 10) a = _toRequestClose(seed, id, by);
        else if (kind == 11) a = _toFinalize(seed, _choose(seed, CLOSING), by);
        else if (kind == 12) a = _toRate(seed, _chance(seed, "closed", 50) ? _choose(seed, CLOSED) : id, by);
        else a = _toClose(seed, id, by);
        a.name = bytes32(bytes.concat("inner ", a.name));
    }

    // ------------------------------------------------------------------ the end

    /// @dev Whatever happened: all sessions close, everybody gets everything out, and nothing is left but what was sent
    /// by mistake.
    function endEverything() external {
        for (uint256 i = 0; i < _personas.length; ++i) {
            _cheerUp(_personas[i]);
        }
        _pardon();
        uint256 count = ghost.count();
        for (uint256 i = 0; i < count; ++i) {
            _endLife(ghost.ids(i));
        }
        for (uint256 i = 0; i < _tokens.length; ++i) {
            for (uint256 k = 0; k < _accounts.length; ++k) {
                uint256 balance = ghost.balanceOf(_tokens[i], _accounts[k]);
                if (balance == 0) continue;
                bool paid = _perform(_asWithdraw("the end: withdraw", _accounts[k], _tokens[i], balance, _accounts[k]));
                require(paid, "ESC-8: everybody gets everything out");
            }
            uint256 left = _held(_tokens[i], address(escrow));
            _equal(left, ghost.surplus(_tokens[i]), "ESC-1: what is left at the end");
        }
    }

    /// @dev ESC-19: the advisor of whatever is still open settles all that time allows, and closes.
    function _endLife(bytes32 id) private {
        Status status = ghost.status(id);
        if (status != Status.Open && status != Status.Closing) return;
        uint256 most = ghost.mostUnits(id);
        uint32 units = most > type(uint32).max ? type(uint32).max : uint32(most);
        Act memory a;
        (a.name, a.by, a.ids) = ("the end: close", _advisorOf(id), _list(id));
        (Voucher memory voucher, Reading memory reading) = _rightVoucher(id, units);
        a.real = abi.encodeCall(escrow.close, (Settlement({terms: _packedOf(id), voucher: voucher})));
        a.ghost = abi.encodeCall(ghost.close, (a.by, 0, reading));
        require(_perform(a), "ESC-19: what opened can be settled");
    }
}
