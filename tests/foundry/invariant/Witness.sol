// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Session} from "../../../contracts/interfaces/ISessionEscrow.sol";

/// @dev A call that succeeded, to be tried again.
struct Past {
    address by;
    uint256 value;
    bytes ghost;
    bytes real;
    bytes32[] ids;
}

/// @title What was seen so far: how each act ended, what sessions looked like, calls that succeeded
contract Witness {
    struct Seen {
        uint80 earned; // the last time somebody looked
        uint8 status;
        bytes32 frozen; // hash of what stays for ever once a session is over; 0 = not over yet
    }

    uint256 private constant PASTS = 8;

    mapping(bytes32 id => Seen) public seen;
    mapping(bytes32 act => mapping(bytes4 outcome => uint32)) public counts; // outcome: an error's selector, or OK
    bytes32[] private _acts; // with _outcomes: what is in counts
    bytes4[] private _outcomes;
    Past[] private _pasts;

    function count(bytes32 act, bytes4 outcome) external {
        if (counts[act][outcome] == 0) {
            _acts.push(act);
            _outcomes.push(outcome);
        }
        counts[act][outcome] += 1;
    }

    /// @dev Records of 40 bytes: act 32, outcome 4, count 4.
    function tally() external view returns (bytes memory records) {
        for (uint256 i = 0; i < _acts.length; ++i) {
            records = bytes.concat(records, _acts[i], _outcomes[i], bytes4(counts[_acts[i]][_outcomes[i]]));
        }
    }

    function see(bytes32 id, uint80 earned, uint8 status, bytes32 frozen) external {
        seen[id] = Seen(earned, status, frozen);
    }

    /// @dev All of a session that stays for ever once it is over: score and answer come later.
    function freeze(Session calldata s) external pure returns (bytes32) {
        return keccak256(abi.encode(s.status, s.deposit, s.earned, s.openedAt, s.closingAt, s.closedAt));
    }

    function remember(uint256 random, Past calldata past_) external {
        if (_pasts.length < PASTS) _pasts.push(past_);
        else _pasts[random % PASTS] = past_;
    }

    /// @dev One of the calls that succeeded; empty if there is none.
    function past(uint256 random) external view returns (Past memory p) {
        if (_pasts.length != 0) p = _pasts[random % _pasts.length];
    }
}
