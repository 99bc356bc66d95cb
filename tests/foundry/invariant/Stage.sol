// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Session, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Pens} from "./Pens.sol";
import {Witness} from "./Witness.sol";

/// @dev One call of the escrow, and the same call as the ghost takes it.
struct Act {
    bytes32 name;
    address by;
    uint256 value;
    bytes ghost;
    bytes real;
    bytes32[] ids; // sessions to look at afterwards
    address token; // a balance to look at afterwards
    address account;
    address other; // another wallet to look at
}

/// @title Where acts are performed: on the escrow and on the ghost, which must agree in everything
abstract contract Stage is Pens, Witness {
    /// @dev The escrow did one thing, and the ghost another. Each answer is what was returned, or reverted with.
    error Disagree(bytes32 act, bool escrowDid, bytes escrowAnswered, bool ghostDid, bytes ghostAnswered);

    bytes4 internal constant OK = 0;
    bytes4 internal constant SKIPPED = bytes4("skip");
    uint256 private constant BLOCK_GAS = 30_000_000;

    /// @dev Four dice, because forge likes some numbers too much: one would often fall the same. Time goes on a little
    /// between most calls.
    function _wake(uint256[4] calldata dice) internal returns (uint256 seed) {
        seed = uint256(keccak256(abi.encode(dice)));
        if (_chance(seed, "tick", 50)) _jumpTo(_now + 1 + _roll(seed, "seconds", 90));
        else CHEATS.warp(_now);
    }

    function _jumpTo(uint256 time) internal {
        _now = time;
        ghost.wait(time);
        CHEATS.warp(time);
    }

    // ------------------------------------------------------------------ performing

    function _perform(Act memory a) internal returns (bool done) {
        bytes memory answer;
        CHEATS.recordLogs();
        (done, answer) = _call(a);
        (bool should, bytes memory expected) = address(ghost).call(a.ghost);
        _agree(a, done, answer, should, expected);
        if (!done) return false; // and nothing can have changed
        books.read(address(escrow), address(ghost), uint40(_now));
        _look(a);
        uint256 random = uint256(keccak256(a.real));
        if (_chance(random, "remember", 6)) _remember(random, Past(a.by, a.value, a.ghost, a.real, a.ids));
    }

    function _call(Act memory a) internal returns (bool done, bytes memory answer) {
        CHEATS.prank(a.by);
        return address(escrow).call{value: a.value, gas: BLOCK_GAS}(a.real);
    }

    /// @dev Nothing that a handler does may end in another way than the ghost says.
    function _agree(Act memory a, bool done, bytes memory answer, bool should, bytes memory expected) internal {
        if (done != should || keccak256(answer) != keccak256(expected)) {
            revert Disagree(a.name, done, answer, should, expected);
        }
        _count(a.name, done ? OK : bytes4(answer));
    }

    // ------------------------------------------------------------------ looking at what became of it

    function _look(Act memory a) internal {
        for (uint256 i = 0; i < a.ids.length; ++i) {
            _lookAt(a.ids[i]);
        }
        if (a.account == address(0)) return;
        _equal(escrow.balanceOf(a.token, a.account), ghost.balanceOf(a.token, a.account), "a balance (ESC-1, 8, 15)");
        _sameWallet(a.token, a.account);
        if (a.other != a.account) _sameWallet(a.token, a.other);
        _sameWallet(a.token, address(escrow));
    }

    function _lookAt(bytes32 id) private {
        (, bytes memory real) = address(escrow).staticcall(abi.encodeCall(escrow.session, (id)));
        (, bytes memory told) = address(ghost).staticcall(abi.encodeCall(ghost.session, (id)));
        _equal(real, told, "a session's slot (ESC-2, 4, 6, 7, 10, 12)");
        Session memory s = abi.decode(real, (Session));
        _neverBack(id, s);
        if (s.status == Status.None || s.status == Status.Revoked) return;
        _lookAtParties(_tokenOf(id), _payerOf(id), _advisorOf(id), _platformOf(id));
    }

    function _lookAtParties(address token, address payer, address advisor, address platform) private view {
        (uint256 ofPayer, uint256 ofAdvisor, uint256 ofPlatform, uint256 payerHas, uint256 escrowHas) =
            ghost.standing(token, payer, advisor, platform);
        _equal(escrow.balanceOf(token, payer), ofPayer, "the payer's balance (ESC-1, 8)");
        _equal(escrow.balanceOf(token, advisor), ofAdvisor, "the advisor's balance (ESC-4, 15)");
        _equal(escrow.balanceOf(token, platform), ofPlatform, "the platform's balance (ESC-4, 15)");
        _equal(_held(token, payer), payerHas, "the payer's wallet (ESC-7, 8)");
        _equal(_held(token, address(escrow)), escrowHas, "what the escrow holds (ESC-1)");
    }

    /// @dev Only among those who play: anybody else's wallet the ghost does not know from the beginning.
    function _sameWallet(address token, address account) private view {
        if (_keyOf[account] == 0 && account != address(escrow)) return;
        if (!_isToken(token)) return;
        _equal(_held(token, account), ghost.wallet(token, account), "a wallet (ESC-1, 7, 13)");
    }
}
