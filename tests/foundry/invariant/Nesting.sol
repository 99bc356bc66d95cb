// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Cheats} from "../Base.sol";
import {Persona, Trigger} from "./Persona.sol";
import {Act, Stage} from "./Stage.sol";

/// @dev An act, and what a persona does in the middle of it.
struct Plot {
    Act outer;
    Act inner;
    Persona persona;
    Trigger trigger;
    bool insist; // the persona fails if its call fails
    bool pushed; // a refund that is pushed calls the persona
}

/// @title Where acts are performed within acts
abstract contract Nesting is Stage {
    error NestedDisagree(bytes32 act, InnerEnd escrow, InnerEnd ghost);

    struct InnerEnd {
        bool fired;
        bool done;
        bytes32 answer; // hash
    }

    function _performAround(Plot memory p) internal {
        p.persona.arm(p.trigger, address(escrow), p.inner.value, p.inner.real, p.insist);
        CHEATS.recordLogs();
        (bool done, bytes memory answer) = _call(p.outer);
        Cheats.Log[] memory logs = CHEATS.getRecordedLogs();
        p.persona.disarm();
        InnerEnd memory end = _innerEnd(address(p.persona), logs);
        // A pushed refund carries little gas. A call back that failed within it may have failed for that alone, and left
        // no trace; one that succeeded must be one that the ghost allows.
        bool dry = p.pushed && !end.done;
        ghost.arm(address(p.persona), p.trigger, p.inner.ghost, p.insist, dry);
        CHEATS.recordLogs();
        (bool should, bytes memory expected) = address(ghost).call(p.outer.ghost);
        Cheats.Log[] memory told = CHEATS.getRecordedLogs();
        ghost.disarm();
        _agree(p.outer, done, answer, should, expected);
        InnerEnd memory expectedEnd = _innerEnd(address(ghost), told);
        bool same = keccak256(abi.encode(end)) == keccak256(abi.encode(expectedEnd));
        if (!dry && !same) revert NestedDisagree(p.inner.name, end, expectedEnd);
        _count(p.inner.name, !end.fired ? SKIPPED : end.done ? OK : dry ? bytes4("dry") : bytes4("no"));
        if (!done) return;
        logs = _joined(_real(address(p.persona), logs), _real(address(ghost), told));
        books.read(logs, address(escrow), address(ghost), uint40(_now));
        _look(p.outer);
        _look(p.inner);
    }

    /// @dev How the call back ended, by the mark that `who` set behind it.
    function _innerEnd(address who, Cheats.Log[] memory logs) private pure returns (InnerEnd memory end) {
        for (uint256 i = 0; i < logs.length && !end.fired; ++i) {
            end.fired = logs[i].emitter == who && logs[i].topics[0] == Persona.Ended.selector;
            if (end.fired) (end.done, end.answer) = abi.decode(logs[i].data, (bool, bytes32));
        }
    }

    /// @dev A recording holds reverted calls too: what lies between the marks that `marker` set around a call back that
    /// failed is left out.
    function _real(address marker, Cheats.Log[] memory logs) private pure returns (Cheats.Log[] memory some) {
        (uint256 count, uint256 before) = (0, 0);
        for (uint256 i = 0; i < logs.length; ++i) {
            bytes32 topic = logs[i].topics[0];
            if (logs[i].emitter == marker && topic == Persona.Began.selector) {
                before = count;
            } else if (logs[i].emitter == marker && topic == Persona.Ended.selector) {
                (bool done,) = abi.decode(logs[i].data, (bool, bytes32));
                if (!done) count = before;
            } else {
                logs[count++] = logs[i];
            }
        }
        some = logs;
        assembly ("memory-safe") {
            mstore(some, count)
        }
    }

    function _joined(Cheats.Log[] memory a, Cheats.Log[] memory b) private pure returns (Cheats.Log[] memory all) {
        all = new Cheats.Log[](a.length + b.length);
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = i < a.length ? a[i] : b[i - a.length];
        }
    }
}
