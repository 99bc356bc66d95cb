// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ISessionEscrow, Session, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Cheats} from "../Base.sol";
import {GhostSessions} from "./GhostSessions.sol";
import {Pens} from "./Pens.sol";
import {Persona} from "./Persona.sol";
import {Past} from "./Witness.sol";

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
abstract contract Stage is Pens {
    /// @dev The escrow did one thing, and the ghost another. Each answer is what was returned, or reverted with.
    error Disagree(bytes32 act, bool escrowDid, bytes escrowAnswered, bool ghostDid, bytes ghostAnswered);
    error LogsDisagree(bytes32 act, uint256 escrowLogs, uint256 ghostLogs, uint256 firstDifference);

    bytes4 internal constant OK = 0;
    bytes4 internal constant SKIPPED = bytes4("skip");
    uint256 private constant BLOCK_GAS = 30_000_000;

    /// @dev Time goes on a little between most calls.
    modifier lives(uint256 seed) {
        uint256 time = ghost.time();
        if (_chance(seed, "tick", 50)) {
            time += 1 + _roll(seed, "seconds", 90);
            ghost.wait(time);
        }
        CHEATS.warp(time);
        _;
    }

    function _jumpTo(uint256 time) internal {
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
        if (done) _readLogs(a.name, CHEATS.getRecordedLogs());
        _look(a);
        if (done && _chance(uint256(keccak256(a.real)), "remember", 12)) _remember(a);
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
        witness.count(a.name, done ? OK : bytes4(answer));
    }

    function _remember(Act memory a) private {
        uint256 random = uint256(keccak256(a.ghost));
        witness.remember(random, Past(a.by, a.value, a.ghost, a.real, a.ids));
    }

    // ------------------------------------------------------------------ events

    /// @dev The escrow emitted what the ghost emitted; then the books read it.
    function _readLogs(bytes32 name, Cheats.Log[] memory logs) internal {
        (uint256[] memory real, uint256 reals) = _of(address(escrow), logs);
        (uint256[] memory told, uint256 tolds) = _of(address(ghost), logs);
        for (uint256 i = 0; i < reals || i < tolds; ++i) {
            bool same = i < reals && i < tolds && _same(logs[real[i]], logs[told[i]]);
            if (!same) revert LogsDisagree(name, reals, tolds, i);
            books.read(logs[real[i]], uint40(ghost.time()));
        }
    }

    /// @dev Which of the recorded logs are this ledger's. A recording holds reverted calls too: a call back that failed
    /// is left out, by the marks that persona and ghost set around it.
    function _of(address ledger, Cheats.Log[] memory logs)
        private
        view
        returns (uint256[] memory which, uint256 count)
    {
        which = new uint256[](logs.length);
        uint256 before;
        for (uint256 i = 0; i < logs.length; ++i) {
            Cheats.Log memory log = logs[i];
            bytes32 topic = log.topics[0];
            bool marks = ledger == address(escrow)
                ? ghost.ownerOf(log.emitter) != address(0)
                : log.emitter == ledger && (topic == Persona.Began.selector || topic == Persona.Ended.selector);
            if (!marks) {
                if (log.emitter == ledger) which[count++] = i;
            } else if (topic == Persona.Began.selector) {
                before = count;
            } else {
                (bool done,) = abi.decode(log.data, (bool, bytes32));
                if (!done) count = before;
            }
        }
    }

    function _same(Cheats.Log memory a, Cheats.Log memory b) private pure returns (bool) {
        return keccak256(abi.encode(a.topics, a.data)) == keccak256(abi.encode(b.topics, b.data));
    }

    // ------------------------------------------------------------------ looking at what became of it

    function _look(Act memory a) internal {
        for (uint256 i = 0; i < a.ids.length; ++i) {
            _lookAt(a.ids[i]);
        }
        if (a.account == address(0)) return;
        _sameBalance(a.token, a.account);
        _sameWallet(a.token, a.account);
        _sameWallet(a.token, a.other);
        _sameWallet(a.token, address(escrow));
    }

    function _lookAt(bytes32 id) internal {
        GhostSessions.Life memory life = ghost.look(id);
        Session memory s = escrow.session(id);
        _equal(abi.encode(s), abi.encode(life.session), "a session's slot (ESC-2, 4, 6, 7, 10, 12)");
        _sameBalance(life.terms.token, life.terms.payer);
        _sameBalance(life.terms.token, life.terms.advisor);
        _sameBalance(life.terms.token, life.terms.feeRecipient);
        _sameWallet(life.terms.token, life.terms.payer);
        _sameWallet(life.terms.token, address(escrow));
        _neverBack(id, s);
    }

    /// @dev ESC-2 and ESC-6, without the ghost: what was seen before is still there.
    function _neverBack(bytes32 id, Session memory s) private {
        (uint80 earned, uint8 status, bytes32 frozen) = witness.seen(id);
        if (s.earned < earned || s.earned > s.deposit) revert Differs("ESC-2: earned", s.earned, earned);
        if (uint8(s.status) < status) revert Differs("ESC-6: status", uint8(s.status), status);
        bool over = s.status == Status.Closed || s.status == Status.Revoked;
        bytes32 now_ = over ? witness.freeze(s) : bytes32(0);
        if (frozen != 0 && now_ != frozen) revert Differs("ESC-6: it was over", uint256(now_), uint256(frozen));
        if (s.earned != earned || uint8(s.status) != status) witness.see(id, s.earned, uint8(s.status), now_);
    }

    function _sameBalance(address token, address account) private view {
        _equal(escrow.balanceOf(token, account), ghost.balanceOf(token, account), "a balance (ESC-1, 8, 15)");
    }

    /// @dev Only among those who play: anybody else's wallet the ghost does not know from the beginning.
    function _sameWallet(address token, address account) private view {
        if (_keyOf[account] == 0 && account != address(escrow)) return;
        if (!_isToken(token)) return;
        _equal(_held(token, account), ghost.wallet(token, account), "a wallet (ESC-1, 7, 13)");
    }
}
