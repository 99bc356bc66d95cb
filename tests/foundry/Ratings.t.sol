// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {ISessionEscrow} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Base, Terms} from "./Base.sol";

/// @dev ESC-10: the client of a closed session that earned something, once, in time, 1 to 5, for ever.
contract RatingsTest is Base {
    bytes32 private constant COMMENT = keccak256("comment");
    bytes32 private constant REPLY = keccak256("reply");

    function _closed() private returns (Terms memory t) {
        t = _sponsored();
        t.tariff.unitSeconds = 0;
        _open(t, DEPOSIT);
        _close(t, 3);
    }

    function _mayNotRate(Terms memory t, uint8 score, bytes memory why) private {
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), score, COMMENT, "");
        bytes memory signature = _signBy(CLIENT, _ratingHash(t, score, COMMENT));
        CHEATS.expectRevert(why);
        CHEATS.prank(RELAYER);
        escrow.rate(_pack(t), score, COMMENT, signature);
    }

    function test_ESC10_the_client_rates_a_closed_session() external {
        Terms memory t = _closed();
        _expectEvent();
        emit ISessionEscrow.Rated(_idOf(t), CLIENT, ADVISOR, 5, COMMENT);
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 5, COMMENT, "");
        _equal(_session(t).score, 5, "score");
        _tally(1, 5);
    }

    function test_ESC10_anyone_sends_a_rating_by_the_clients_signature() external {
        Terms memory t = _closed();
        bytes memory signature = _signBy(CLIENT, _ratingHash(t, 1, COMMENT));
        _expectEvent();
        emit ISessionEscrow.Rated(_idOf(t), CLIENT, ADVISOR, 1, COMMENT);
        CHEATS.prank(RELAYER);
        escrow.rate(_pack(t), 1, COMMENT, signature);
        _tally(1, 1);
    }

    function test_ESC10_nobody_but_the_client_rates_not_even_who_paid() external {
        Terms memory t = _closed();
        address[3] memory others = [SPONSOR, ADVISOR, STRANGER];
        for (uint256 i = 0; i < 3; ++i) {
            CHEATS.expectRevert(_missing(CLIENT));
            CHEATS.prank(others[i]);
            escrow.rate(_pack(t), 5, COMMENT, "");
            bytes memory signature = _signBy(others[i], _ratingHash(t, 5, COMMENT));
            CHEATS.expectRevert(_wrong(CLIENT, others[i]));
            escrow.rate(_pack(t), 5, COMMENT, signature);
        }
        _tally(0, 0);
    }

    function test_ESC10_a_rating_is_never_changed() external {
        Terms memory t = _closed();
        bytes memory signature = _signBy(CLIENT, _ratingHash(t, 2, COMMENT));
        escrow.rate(_pack(t), 2, COMMENT, signature);
        bytes memory why = abi.encodeWithSelector(IErrors.AlreadyRated.selector, _idOf(t), 2);
        _mayNotRate(t, 2, why);
        _mayNotRate(t, 5, why);
        _tally(1, 2);
    }

    function test_ESC10_scores_are_1_to_5(uint8 score) external {
        Terms memory t = _closed();
        if (score == 0 || score > 5) {
            _mayNotRate(t, score, abi.encodeWithSelector(IErrors.ScoreOutOfRange.selector, score));
            return;
        }
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), score, COMMENT, "");
        _tally(1, score);
    }

    function test_ESC10_a_score_of_1_or_5_counts_and_of_0_or_6_does_not() external {
        uint8[4] memory scores = [0, 1, 5, 6];
        for (uint256 i = 0; i < 4; ++i) {
            Terms memory t = _interactions();
            t.salt = uint96(100 + i);
            _open(t, DEPOSIT);
            _close(t, 1);
            bytes memory why = abi.encodeWithSelector(IErrors.ScoreOutOfRange.selector, scores[i]);
            if (i == 0 || i == 3) CHEATS.expectRevert(why);
            CHEATS.prank(CLIENT);
            escrow.rate(_pack(t), scores[i], COMMENT, "");
            _equal(_session(t).score, i == 0 || i == 3 ? 0 : scores[i], "score");
        }
        _tally(2, 6);
    }

    function test_ESC10_the_smallest_sum_that_can_be_earned_may_be_rated() external {
        Terms memory t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice) = (0, 1);
        _open(t, DEPOSIT);
        _close(t, 1);
        _equal(_session(t).earned, 1, "earned");
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 5, COMMENT, "");
        _tally(1, 5);
    }

    function test_ESC10_the_last_second_of_the_window_counts_and_the_next_does_not() external {
        Terms memory t = _closed();
        uint256 windowEnds = time + 30 days;
        _at(windowEnds + 1);
        _mayNotRate(t, 4, abi.encodeWithSelector(IErrors.RatingWindowOver.selector, windowEnds, windowEnds + 1));
        _at(windowEnds);
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 4, COMMENT, "");
        _tally(1, 4);
    }

    function test_ESC10_the_window_begins_at_the_close_not_at_the_leave() external {
        Terms memory t = _sponsored();
        _open(t, DEPOSIT);
        _settle(t, 1);
        _leave(t);
        _later(t.closeGrace + 1 days);
        escrow.finalize(_pack(t));
        _later(30 days);
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 3, COMMENT, "");
        _tally(1, 3);
    }

    function test_ESC10_sessions_that_run_are_revoked_or_never_were_are_not_rated() external {
        Terms memory t = _terms();
        bytes memory why = abi.encodeWithSelector(IErrors.SessionNotClosed.selector, _idOf(t));
        _mayNotRate(t, 5, why);
        _open(t, DEPOSIT);
        _settle(t, 1);
        _mayNotRate(t, 5, why);
        _leave(t);
        _mayNotRate(t, 5, why);
        t.salt = 8;
        CHEATS.prank(ADVISOR);
        escrow.revoke(_pack(t), ADVISOR, "");
        _mayNotRate(t, 5, abi.encodeWithSelector(IErrors.SessionNotClosed.selector, _idOf(t)));
    }

    function test_ESC10_sessions_in_which_nothing_was_earned_are_not_rated() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _close(t, 0);
        _mayNotRate(t, 5, abi.encodeWithSelector(IErrors.NothingEarned.selector, _idOf(t)));
    }

    function test_ESC14_a_rating_signature_is_for_its_session_score_and_comment() external {
        Terms memory t = _closed();
        Terms memory other = t;
        other.salt = 8;
        bytes memory signature = _signBy(CLIENT, _ratingHash(other, 5, COMMENT));
        t = _sponsored();
        t.tariff.unitSeconds = 0;
        _refusesRating(t, 5, COMMENT, signature);
        signature = _signBy(CLIENT, _ratingHash(t, 5, COMMENT));
        _refusesRating(t, 4, COMMENT, signature);
        _refusesRating(t, 5, REPLY, signature);
        escrow.rate(_pack(t), 5, COMMENT, signature);
    }

    function test_scores_add_up_over_sessions() external {
        Terms memory t = _interactions();
        for (uint8 score = 1; score <= 5; ++score) {
            t.salt = score;
            _open(t, DEPOSIT);
            _close(t, 1);
            CHEATS.prank(CLIENT);
            escrow.rate(_pack(t), score, COMMENT, "");
        }
        _tally(5, 15);
    }

    // ------------------------------------------------------------------ the answer

    function test_the_advisor_answers_once_by_calling_or_by_signature() external {
        Terms memory t = _closed();
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 2, COMMENT, "");
        _later(365 days); // no hurry
        _expectEvent();
        emit ISessionEscrow.Answered(_idOf(t), ADVISOR, REPLY);
        CHEATS.prank(ADVISOR);
        escrow.answer(_pack(t), REPLY, "");
        require(_session(t).answered, "answered");
        bytes memory signature = _signBy(ADVISOR, _answerHash(t, REPLY));
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.AlreadyAnswered.selector, _idOf(t)));
        escrow.answer(_pack(t), REPLY, signature);
        _equal(_session(t).score, 2, "score");
    }

    function test_anyone_sends_an_answer_by_the_advisors_signature_and_nobody_without() external {
        Terms memory t = _closed();
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 2, COMMENT, "");
        CHEATS.expectRevert(_missing(ADVISOR));
        CHEATS.prank(CLIENT);
        escrow.answer(_pack(t), REPLY, "");
        bytes memory signature = _signBy(CLIENT, _answerHash(t, REPLY));
        CHEATS.expectRevert(_wrong(ADVISOR, CLIENT));
        escrow.answer(_pack(t), REPLY, signature);
        signature = _signBy(ADVISOR, _answerHash(t, REPLY));
        _expectEvent();
        emit ISessionEscrow.Answered(_idOf(t), ADVISOR, REPLY);
        escrow.answer(_pack(t), REPLY, signature);
    }

    function test_there_is_no_answer_without_a_rating() external {
        Terms memory t = _sponsored();
        t.tariff.unitSeconds = 0;
        _mayNotAnswer(t); // never was
        _open(t, DEPOSIT);
        _mayNotAnswer(t);
        _close(t, 3);
        _mayNotAnswer(t);
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 2, COMMENT, "");
        CHEATS.prank(ADVISOR);
        escrow.answer(_pack(t), REPLY, "");
        require(_session(t).answered, "answered");
    }

    function _mayNotAnswer(Terms memory t) private {
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.NotRated.selector, _idOf(t)));
        CHEATS.prank(ADVISOR);
        escrow.answer(_pack(t), REPLY, "");
    }

    function test_ESC14_an_answer_signature_is_for_its_session_and_its_words() external {
        Terms memory t = _closed();
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 2, COMMENT, "");
        Terms memory other = _terms();
        bytes[2] memory signatures =
            [_signBy(ADVISOR, _answerHash(other, REPLY)), _signBy(ADVISOR, _answerHash(t, COMMENT))];
        for (uint256 i = 0; i < 2; ++i) {
            try escrow.answer(_pack(t), REPLY, signatures[i]) {
                revert("answered");
            } catch (bytes memory why) {
                require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
            }
        }
    }

    function test_each_advisor_has_a_tally_of_their_own() external {
        _tally(0, 0);
        Terms memory t = _interactions();
        t.advisor = STRANGER;
        _open(t, DEPOSIT);
        _close(t, 1);
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 4, COMMENT, "");
        _tally(0, 0);
        (uint128 count, uint128 sum) = escrow.ratingOf(STRANGER);
        _equal(count, 1, "count");
        _equal(sum, 4, "sum");
    }

    function test_ESC10_money_never_waits_for_a_rating() external {
        Terms memory t = _closed(); // closed and not rated: everything is paid
        CHEATS.prank(ADVISOR);
        escrow.withdraw(address(token), 3_150_000, ADVISOR);
        CHEATS.prank(PLATFORM);
        escrow.withdraw(address(token), 350_000, PLATFORM);
        _equal(token.balanceOf(address(escrow)), 0, "kept");
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 1, COMMENT, "");
        _equal(_session(t).earned, 3_500_000, "earned");
    }

    function _tally(uint256 count, uint256 sum) private view {
        (uint128 found, uint128 foundSum) = escrow.ratingOf(ADVISOR);
        _equal(found, count, "count");
        _equal(foundSum, sum, "sum");
    }

    function _refusesRating(Terms memory t, uint8 score, bytes32 comment, bytes memory signature) private {
        try escrow.rate(_pack(t), score, comment, signature) {
            revert("rated");
        } catch (bytes memory why) {
            require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
        }
    }
}
