// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A session in one storage slot, from the highest bit:
/// deposit 80 | earned 80 | openedAt 40 | closingAt or closedAt 40 | score 8 | flags 8.
/// @dev A slot is never cleared, so an id that was used once stays used. Empty means: never seen.
type Slot is uint256;

using SlotLib for Slot global;

/// @title Reading and writing a session's slot
library SlotLib {
    uint256 internal constant OPEN = 1; // opened and not closed yet
    uint256 internal constant FROM_BALANCE = 2; // the unspent deposit goes back to the payer's balance, not their wallet
    uint256 internal constant ANSWERED = 4; // the advisor has answered the rating
    uint256 internal constant REVOKED = 8; // the quote was withdrawn before anybody opened it

    function opened(uint80 deposit_, uint40 time, bool fromBalance_) internal pure returns (Slot) {
        return
            Slot.wrap((uint256(deposit_) << 176) | (uint256(time) << 56) | (fromBalance_ ? FROM_BALANCE | OPEN : OPEN));
    }

    function revoked(uint40 time) internal pure returns (Slot) {
        return Slot.wrap((uint256(time) << 16) | REVOKED);
    }

    function isEmpty(Slot s) internal pure returns (bool) {
        return Slot.unwrap(s) == 0;
    }

    /// @notice Opened and not closed; somebody may have asked to close.
    function isOpen(Slot s) internal pure returns (bool) {
        return Slot.unwrap(s) & OPEN != 0;
    }

    /// @notice Opened once, and closed now. A revoked quote is not.
    function wasClosed(Slot s) internal pure returns (bool) {
        return !isEmpty(s) && Slot.unwrap(s) & (OPEN | REVOKED) == 0;
    }

    function fromBalance(Slot s) internal pure returns (bool) {
        return Slot.unwrap(s) & FROM_BALANCE != 0;
    }

    function answered(Slot s) internal pure returns (bool) {
        return Slot.unwrap(s) & ANSWERED != 0;
    }

    function deposit(Slot s) internal pure returns (uint80) {
        return uint80(Slot.unwrap(s) >> 176);
    }

    function earned(Slot s) internal pure returns (uint80) {
        return uint80(Slot.unwrap(s) >> 96);
    }

    function openedAt(Slot s) internal pure returns (uint40) {
        return uint40(Slot.unwrap(s) >> 56);
    }

    /// @notice When somebody asked to close, or, once closed, when it was closed. Zero: neither.
    function closingAt(Slot s) internal pure returns (uint40) {
        return uint40(Slot.unwrap(s) >> 16);
    }

    function score(Slot s) internal pure returns (uint8) {
        return uint8(Slot.unwrap(s) >> 8);
    }

    function withDeposit(Slot s, uint80 deposit_) internal pure returns (Slot) {
        return Slot.wrap((Slot.unwrap(s) & (type(uint256).max >> 80)) | (uint256(deposit_) << 176));
    }

    function withEarned(Slot s, uint80 earned_) internal pure returns (Slot) {
        return Slot.wrap((Slot.unwrap(s) & ~(uint256(type(uint80).max) << 96)) | (uint256(earned_) << 96));
    }

    function closing(Slot s, uint40 time) internal pure returns (Slot) {
        return Slot.wrap((Slot.unwrap(s) & ~(uint256(type(uint40).max) << 16)) | (uint256(time) << 16));
    }

    function ended(Slot s, uint80 earned_, uint40 time) internal pure returns (Slot) {
        uint256 kept =
            Slot.unwrap(s) & (type(uint256).max << 176 | uint256(type(uint40).max) << 56 | (type(uint16).max & ~OPEN));
        return Slot.wrap(kept | (uint256(earned_) << 96) | (uint256(time) << 16));
    }

    function rated(Slot s, uint8 score_) internal pure returns (Slot) {
        return Slot.wrap(Slot.unwrap(s) | (uint256(score_) << 8));
    }

    function withAnswer(Slot s) internal pure returns (Slot) {
        return Slot.wrap(Slot.unwrap(s) | ANSWERED);
    }
}
