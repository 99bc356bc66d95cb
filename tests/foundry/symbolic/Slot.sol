// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Slot, SlotLib} from "../../../contracts/libraries/Slot.sol";

/// @dev Proofs for every slot, every field and every value (ESC-2, ESC-6): each writer changes its own fields and no
/// others, and a slot stands in exactly one place of a session's life. The four highest of the flags' bits are nobody's;
/// that writers leave them alone is proven with the rest.
contract SlotProofs {
    uint256 private constant NOBODYS = 0xf0;

    /// @dev Everything that a slot holds.
    struct Fields {
        uint80 deposit;
        uint80 earned;
        uint40 openedAt;
        uint40 closingAt;
        uint8 score;
        bool isOpen;
        bool fromBalance;
        bool answered;
        bool revoked;
        uint256 nobodys;
    }

    function _read(Slot s) private pure returns (Fields memory f) {
        f.deposit = s.deposit();
        f.earned = s.earned();
        f.openedAt = s.openedAt();
        f.closingAt = s.closingAt();
        f.score = s.score();
        f.isOpen = s.isOpen();
        f.fromBalance = s.fromBalance();
        f.answered = s.answered();
        f.revoked = Slot.unwrap(s) & SlotLib.REVOKED != 0;
        f.nobodys = Slot.unwrap(s) & NOBODYS;
    }

    function _holds(Slot s, Fields memory f) private pure {
        assert(s.deposit() == f.deposit);
        assert(s.earned() == f.earned);
        assert(s.openedAt() == f.openedAt);
        assert(s.closingAt() == f.closingAt);
        assert(s.score() == f.score);
        assert(s.isOpen() == f.isOpen);
        assert(s.fromBalance() == f.fromBalance);
        assert(s.answered() == f.answered);
        assert((Slot.unwrap(s) & SlotLib.REVOKED != 0) == f.revoked);
        assert(Slot.unwrap(s) & NOBODYS == f.nobodys);
    }

    // ------------------------------------------------------------------ writing and reading

    /// @dev Ten readers see all 256 bits: two slots of the same fields are the same.
    function check_the_readers_see_every_bit(uint256 one, uint256 other) external pure {
        if (one == other) return;
        assert(keccak256(abi.encode(_read(Slot.wrap(one)))) != keccak256(abi.encode(_read(Slot.wrap(other)))));
    }

    function check_opened_is_read_as_it_was_written(uint80 deposit, uint40 time, bool fromBalance) external pure {
        Fields memory f;
        (f.deposit, f.openedAt, f.fromBalance, f.isOpen) = (deposit, time, fromBalance, true);
        _holds(SlotLib.opened(deposit, time, fromBalance), f);
    }

    function check_revoked_is_read_as_it_was_written(uint40 time) external pure {
        Fields memory f;
        (f.closingAt, f.revoked) = (time, true);
        _holds(SlotLib.revoked(time), f);
    }

    function check_withDeposit_changes_the_deposit_alone(uint256 slot, uint80 deposit) external pure {
        Fields memory f = _read(Slot.wrap(slot));
        f.deposit = deposit;
        _holds(Slot.wrap(slot).withDeposit(deposit), f);
    }

    function check_withEarned_changes_what_is_earned_alone(uint256 slot, uint80 earned) external pure {
        Fields memory f = _read(Slot.wrap(slot));
        f.earned = earned;
        _holds(Slot.wrap(slot).withEarned(earned), f);
    }

    function check_closing_changes_its_time_alone(uint256 slot, uint40 time) external pure {
        Fields memory f = _read(Slot.wrap(slot));
        f.closingAt = time;
        _holds(Slot.wrap(slot).closing(time), f);
    }

    function check_ended_changes_earned_its_time_and_the_open_flag_alone(uint256 slot, uint80 earned, uint40 time)
        external
        pure
    {
        Fields memory f = _read(Slot.wrap(slot));
        (f.earned, f.closingAt, f.isOpen) = (earned, time, false);
        _holds(Slot.wrap(slot).ended(earned, time), f);
    }

    /// @dev A slot is rated where its score is zero, and nowhere else (Ratings.sol).
    function check_rated_changes_the_score_alone(uint256 slot, uint8 score) external pure {
        Fields memory f = _read(Slot.wrap(slot));
        if (f.score != 0) return;
        f.score = score;
        _holds(Slot.wrap(slot).rated(score), f);
    }

    function check_withAnswer_changes_its_flag_alone(uint256 slot) external pure {
        Fields memory f = _read(Slot.wrap(slot));
        f.answered = true;
        _holds(Slot.wrap(slot).withAnswer(), f);
    }

    // ------------------------------------------------------------------ where a session stands

    /// @dev Never seen, open, closed or revoked. No writer sets the flags of open and revoked both.
    function check_a_slot_is_empty_open_closed_or_revoked_and_never_two_of_them(uint256 slot) external pure {
        Slot s = Slot.wrap(slot);
        bool revoked = slot & SlotLib.REVOKED != 0;
        if (s.isOpen() && revoked) return;
        assert((s.isEmpty() ? 1 : 0) + (s.isOpen() ? 1 : 0) + (s.wasClosed() ? 1 : 0) + (revoked ? 1 : 0) == 1);
    }

    /// @dev Sessions open with a deposit (Terms.sol), at a time that is not 1970.
    function check_a_session_of_any_deposit_opens_and_closes(
        uint80 deposit,
        uint80 earned,
        uint40[2] calldata times,
        bool fromBalance
    ) external pure {
        if (deposit == 0 && times[0] == 0) return;
        Slot s = SlotLib.opened(deposit, times[0], fromBalance);
        assert(s.isOpen() && !s.isEmpty() && !s.wasClosed());
        s = s.ended(earned, times[1]);
        assert(s.wasClosed() && !s.isOpen() && !s.isEmpty());
        s = SlotLib.revoked(times[1]);
        assert(!s.wasClosed() && !s.isOpen() && !s.isEmpty());
    }

    function check_ESC6_no_writer_reopens_what_is_over(uint256 slot, uint80 amount, uint40 time, uint8 score)
        external
        pure
    {
        Slot s = Slot.wrap(slot);
        if (s.isEmpty() || s.isOpen()) return;
        assert(!s.withDeposit(amount).isOpen());
        assert(!s.withEarned(amount).isOpen());
        assert(!s.closing(time).isOpen());
        assert(!s.ended(amount, time).isOpen());
        assert(!s.rated(score).isOpen() && !s.rated(score).isEmpty());
        assert(!s.withAnswer().isOpen() && !s.withAnswer().isEmpty());
    }
}
