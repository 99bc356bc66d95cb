// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Sessions} from "./Sessions.sol";
import {ISessionEscrow} from "./interfaces/ISessionEscrow.sol";
import {Slot} from "./libraries/Slot.sol";
import {PackedTerms} from "./libraries/Terms.sol";

/// @title Scores of closed sessions, and the advisors' answers
/// @dev Money never waits for a rating (ESC-10): nothing here is looked at by anything that pays.
abstract contract Ratings is Sessions {
    bytes32 private constant RATING_TYPEHASH = keccak256("Rating(bytes32 sessionId,uint8 score,bytes32 commentHash)");
    bytes32 private constant ANSWER_TYPEHASH = keccak256("Answer(bytes32 sessionId,bytes32 answerHash)");
    uint40 private constant RATING_WINDOW = 30 days; // seconds after closing

    struct Tally {
        uint128 count;
        uint128 sum;
    }

    mapping(address advisor => Tally) private _tallies;

    /// @inheritdoc ISessionEscrow
    function rate(PackedTerms calldata terms, uint8 score, bytes32 commentHash, bytes calldata signature) external {
        (bytes32 separator, bytes32 sessionId) = _identify(terms);
        (address client, address advisor) = (terms.clientOf(), terms.advisorOf());
        Slot slot = _cells[sessionId].slot;
        if (!slot.wasClosed()) revert SessionNotClosed(sessionId);
        if (score == 0 || score > 5) revert ScoreOutOfRange(score);
        if (slot.earned() == 0) revert NothingEarned(sessionId);
        if (slot.score() != 0) revert AlreadyRated(sessionId, slot.score());
        uint40 windowEnds = slot.closingAt() + RATING_WINDOW;
        if (block.timestamp > windowEnds) revert RatingWindowOver(windowEnds, uint40(block.timestamp));
        bytes32 message = _hash(RATING_TYPEHASH, sessionId, score, uint256(commentHash));
        _mustBeSigned(client, _digest(separator, message), signature);

        _cells[sessionId].slot = slot.rated(score);
        Tally memory tally = _tallies[advisor];
        _tallies[advisor] = Tally(tally.count + 1, tally.sum + score);
        emit Rated(sessionId, client, advisor, score, commentHash);
    }

    /// @inheritdoc ISessionEscrow
    function answer(PackedTerms calldata terms, bytes32 answerHash, bytes calldata signature) external {
        (bytes32 separator, bytes32 sessionId) = _identify(terms);
        address advisor = terms.advisorOf();
        Slot slot = _cells[sessionId].slot;
        if (slot.score() == 0) revert NotRated(sessionId);
        if (slot.answered()) revert AlreadyAnswered(sessionId);
        bytes32 message = _hash(ANSWER_TYPEHASH, sessionId, uint256(answerHash));
        _mustBeSigned(advisor, _digest(separator, message), signature);

        _cells[sessionId].slot = slot.withAnswer();
        emit Answered(sessionId, advisor, answerHash);
    }

    /// @inheritdoc ISessionEscrow
    function ratingOf(address advisor) external view returns (uint128 count, uint128 sum) {
        Tally memory tally = _tallies[advisor];
        return (tally.count, tally.sum);
    }
}
