// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Session, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {BlacklistToken, PlainToken} from "../mocks/Tokens.sol";
import {EndingActs} from "./EndingActs.sol";

import {Mood, Persona} from "./Persona.sol";
import {Act} from "./Stage.sol";

/// @title What happens around the escrow: time, moods, blacklists, mistakes, replays, strangers
abstract contract Surroundings is EndingActs {
    error StrangerHeard(bytes call);

    /// @dev Time jumps: a little, hours, or to an instant that matters to somebody, or the second before or after it.
    function sleep(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        uint256 time = _now;
        uint256 kind = _roll(seed, "sleep", 20);
        uint256 to = time + 1 + _roll(seed, "minutes", 20 minutes);
        if (kind < 3) to = time + _roll(seed, "hours", 12 hours);
        if (kind >= 10) to = _instant(seed, kind) - 1 + _roll(seed, "side", 3);
        // Far ahead only now and then: most quotes and many chances to rate are gone then.
        if (to < time || (to > time + 8 days && !_chance(seed, "far", 10))) to = time + 1;
        _jumpTo(to);
        _count("sleep", to > time + 8 days ? bytes4("far") : kind >= 10 ? bytes4("inst") : OK);
    }

    /// @dev When grace ends, the window for ratings ends, a quote expires, or the next unit begins.
    function _instant(uint256 seed, uint256 kind) private returns (uint256) {
        uint256 wanted = kind < 14 ? CLOSING : kind < 15 ? CLOSED : kind < 17 ? 1 << uint256(Status.None) : OPEN;
        bytes32 id = _choose(seed, wanted);
        Session memory s = ghost.session(id);
        if (s.status == Status.Closing) return uint256(s.closingAt) + _closeGraceOf(id);
        if (s.status == Status.Closed) return uint256(s.closedAt) + 30 days;
        if (s.status == Status.None) return _openBeforeOf(id);
        uint256 unit = _unitSecondsOf(id);
        if (s.status != Status.Open || unit == 0) return _now + 1;
        return s.openedAt + ((_now - s.openedAt) / unit + 1) * unit;
    }

    /// @dev A contract account gets into another mood, mostly a good one.
    function moods(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        Persona persona = _personas[_roll(seed, "persona", _personas.length)];
        Mood mood = _chance(seed, "fine", 50) ? Mood.Fine : Mood(_roll(seed, "mood", 6));
        persona.become(mood);
        ghost.feel(address(persona), mood);
        _count("moods", OK);
    }

    /// @dev The issuer of a token puts somebody on its list, or takes everybody off. Now and then it is the escrow.
    function blacklist(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        address account = _chance(seed, "escrow", 8) ? address(escrow) : _oneOf(seed, "account", _accounts);
        bool on = _chance(seed, "on", 45);
        if (!on) _pardon();
        else _blacklist(account, true);
        _count("blacklist", OK);
    }

    function _pardon() internal {
        for (uint256 i = 0; i < _accounts.length; ++i) {
            if (ghost.blacklisted(_accounts[i])) _blacklist(_accounts[i], false);
        }
        if (ghost.blacklisted(address(escrow))) _blacklist(address(escrow), false);
    }

    function _blacklist(address account, bool on) private {
        BlacklistToken(BLACK).blacklist(account, on);
        ghost.blacklist(account, on);
    }

    /// @dev Somebody sends the escrow something by mistake; coin comes by force, as a mined block's or a dying contract's.
    function donate(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        address token = _oneOf(seed, "token", _tokens);
        uint256 amount = 1 + _roll(seed, "amount", _one(token));
        if (token == COIN) CHEATS.deal(address(escrow), address(escrow).balance + amount);
        else PlainToken(token).mint(address(escrow), amount);
        ghost.donate(token, amount);
        _equal(_held(token, address(escrow)), ghost.wallet(token, address(escrow)), "ESC-1: a surplus");
        _count("donate", OK);
    }

    /// @dev ESC-6, ESC-14: what succeeded once is sent again, later, by the same or by somebody else.
    function again(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        Past memory p = _past(_roll(seed, "which", type(uint256).max));
        if (p.real.length == 0) {
            _count("again", SKIPPED);
            return;
        }
        Act memory a;
        (a.name, a.by, a.value, a.ghost, a.real, a.ids) = ("again", p.by, p.value, p.ghost, p.real, p.ids);
        if (_chance(seed, "somebody else", 50)) a.by = _oneOf(seed, "by", _accounts);
        (address by, bytes memory ghostly) = (a.by, a.ghost);
        assembly ("memory-safe") {
            mstore(add(ghostly, 36), by) // each of the ghost's functions takes the caller first
        }
        _perform(a);
    }

    /// @dev ESC-9: there is no function but those of the interface, and coin comes only with them.
    function strangers(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        bytes memory call = _chance(seed, "nothing", 20)
            ? bytes("")
            : abi.encodePacked(bytes4(bytes32(_roll(seed, "selector", type(uint256).max))), abi.encode(seed, seed));
        // One of its own functions, by a chance of one in a hundred million.
        string[8] memory names = [
            "owner()",
            "pause()",
            "upgradeTo(address)",
            "setFee(uint256)",
            "sweep(address,address)",
            "initialize(address)",
            "transferOwnership(address)",
            "emergencyWithdraw(address)"
        ];
        if (_chance(seed, "name", 40)) {
            call = abi.encodePacked(bytes4(keccak256(bytes(names[_roll(seed, "which", 8)]))), abi.encode(seed));
        }
        CHEATS.prank(_oneOf(seed, "by", _accounts));
        (bool done,) = address(escrow).call{value: _roll(seed, "value", 2)}(call);
        if (done) revert StrangerHeard(call);
        _count("strangers", OK);
    }
}
