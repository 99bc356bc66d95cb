// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Session, Settlement, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {ITipJar} from "../../../contracts/interfaces/ITipJar.sol";
import {Base, Terms} from "../Base.sol";
import {PlainToken} from "../mocks/Tokens.sol";

interface MoreCheats {
    function cool(address account) external;
    function snapshotState() external returns (uint256 id);
    function revertToState(uint256 id) external returns (bool done);
}

/// @dev What attackers need: a tip jar beside the escrow, calls whose failure is looked at, and the books.
abstract contract Attack is Base {
    MoreCheats internal constant MORE_CHEATS = MoreCheats(address(CHEATS));

    ITipJar internal jar;
    address[] internal people; // whose balances the books add up
    Terms[] internal sessions; // whose deposits they add up

    function setUp() public virtual override {
        super.setUp();
        jar = ITipJar(_shipped("TipJar"));
        people = [CLIENT, SPONSOR, ADVISOR, STRANGER, PLATFORM, RELAYER, CHEATS.addr(METER_KEY)];
    }

    // ------------------------------------------------------------------ calls

    function _send(address by, address to, bytes memory data) internal returns (bool done, bytes memory why) {
        CHEATS.prank(by);
        return to.call(data);
    }

    function _works(address by, address to, bytes memory data) internal {
        (bool done, bytes memory why) = _send(by, to, data);
        if (done) return;
        assembly ("memory-safe") {
            revert(add(why, 32), mload(why))
        }
    }

    function _fails(address by, address to, bytes memory data, bytes4 reason) internal {
        (bool done, bytes memory why) = _send(by, to, data);
        require(!done, "the attack worked");
        _equal(bytes32(bytes4(why)), bytes32(reason), "the attack failed for another reason");
    }

    /// @dev By the payer's signature, from the balance.
    function _topUpCall(Terms memory t, uint80 newDeposit) internal view returns (bytes memory) {
        bytes memory signature = _signBy(t.payer, _topUpHash(t, newDeposit));
        return abi.encodeCall(escrow.topUpFromBalance, (_pack(t), newDeposit, signature));
    }

    /// @dev By the client's signature.
    function _leavingCall(Terms memory t) internal view returns (bytes memory) {
        return abi.encodeCall(escrow.requestClose, (_pack(t), t.client, _signBy(t.client, _leaving(t))));
    }

    /// @dev By the client's signature, without a comment.
    function _ratingCall(Terms memory t, uint8 score) internal view returns (bytes memory) {
        return abi.encodeCall(escrow.rate, (_pack(t), score, "", _signBy(t.client, _ratingHash(t, score, ""))));
    }

    /// @dev By the advisor's signature, without words.
    function _answerCall(Terms memory t) internal view returns (bytes memory) {
        return abi.encodeCall(escrow.answer, (_pack(t), "", _signBy(t.advisor, _answerHash(t, ""))));
    }

    function _settlementBy(uint256 meter, Terms memory t, uint32 units) internal view returns (Settlement memory s) {
        s = _settlement(t, 0);
        s.voucher = _voucherBy(meter, t, units);
    }

    // ------------------------------------------------------------------ books

    function _watch(Terms memory t) internal {
        sessions.push(t);
    }

    function _held(address of_) internal view returns (uint256) {
        return of_ == COIN ? address(escrow).balance : PlainToken(of_).balanceOf(address(escrow));
    }

    /// @dev Balances of everybody known, and what is not earned yet of the sessions that run.
    function _owed(address of_) internal view returns (uint256 sum) {
        for (uint256 i = 0; i < people.length; ++i) {
            sum += escrow.balanceOf(of_, people[i]);
        }
        for (uint256 i = 0; i < sessions.length; ++i) {
            Terms memory t = sessions[i];
            if (t.token != of_) continue;
            Session memory s = _session(t);
            if (s.status == Status.Open || s.status == Status.Closing) sum += s.deposit - s.earned;
        }
    }

    /// @dev ESC-1, exactly: `surplus` is what was sent to the escrow beside its functions.
    function _booksAreRight(address of_, uint256 surplus) internal view {
        _equal(_held(of_), _owed(of_) + surplus, "what is held, and what is owed");
    }
}
