// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Session, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Asserts} from "../Base.sol";

/// @title What was seen so far: how each act ended, what sessions looked like, calls that succeeded
/// @dev A store that the handler carries with it, because it is asked in every act.
abstract contract Witness is Asserts {
    /// @dev A call that succeeded, to be tried again.
    struct Past {
        address by;
        uint256 value;
        bytes ghost;
        bytes real;
        bytes32[] ids;
    }

    struct Seen {
        uint80 earned; // the last time somebody looked
        uint8 status;
        bytes32 frozen; // hash of what stays for ever once a session is over; 0 = not over yet
    }

    uint256 private constant PASTS = 8;

    mapping(bytes32 id => Seen) public seen;
    mapping(bytes32 act => mapping(bytes4 outcome => uint32)) private _counts; // outcome: an error's selector, or a word
    bytes32[] private _acts; // with _outcomes: what is in _counts
    bytes4[] private _outcomes;
    Past[] private _pasts;

    function _count(bytes32 act, bytes4 outcome) internal {
        uint32 before = _counts[act][outcome];
        if (before == 0) {
            _acts.push(act);
            _outcomes.push(outcome);
        }
        _counts[act][outcome] = before + 1;
    }

    /// @dev Records of 40 bytes: act 32, outcome 4, count 4.
    function tally() external view returns (bytes memory records) {
        for (uint256 i = 0; i < _acts.length; ++i) {
            records = bytes.concat(records, _acts[i], _outcomes[i], bytes4(_counts[_acts[i]][_outcomes[i]]));
        }
    }

    /// @dev ESC-2, ESC-6, ESC-12, without the ghost: what was seen before is still there.
    function _neverBack(bytes32 id, Session memory s) internal {
        Seen storage before = seen[id];
        if (s.earned < before.earned || s.earned > s.deposit) revert Differs("ESC-2: earned", s.earned, before.earned);
        if (uint8(s.status) < before.status) revert Differs("ESC-6: status", uint8(s.status), before.status);
        if (before.frozen != 0) _equal(freeze(s), before.frozen, "ESC-6, ESC-12: what is over, and what it was");
        (before.earned, before.status) = (s.earned, uint8(s.status));
        bool over = s.status == Status.Closed || s.status == Status.Revoked;
        if (over && before.frozen == 0) before.frozen = freeze(s);
    }

    /// @dev All of a session that stays for ever once it is over: score and answer come later.
    function freeze(Session memory s) public pure returns (bytes32) {
        return keccak256(abi.encode(s.status, s.deposit, s.earned, s.openedAt, s.closingAt, s.closedAt));
    }

    function _remember(uint256 random, Past memory past) internal {
        if (_pasts.length < PASTS) _pasts.push(past);
        else _pasts[random % PASTS] = past;
    }

    /// @dev One of the calls that succeeded; empty if there is none.
    function _past(uint256 random) internal view returns (Past memory p) {
        if (_pasts.length != 0) p = _pasts[random % _pasts.length];
    }
}
