// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Terms} from "../Base.sol";
import {MadeUpToken} from "../mocks/Tokens.sol";
import {Attack} from "./Attack.sol";

/// @dev Ratings that were not earned, and ratings that hurt. What a contract can say is that money was paid for each
/// one, and which; whether people stand behind it, it cannot.
contract ReputationTest is Attack {
    uint256 private constant SECOND_KEY = 0xA2;

    /// @dev Wants a good name without clients: opens sessions with a second account, meters one unit and rates itself.
    /// It works. Without a platform's share it costs gas alone, for the money goes from one pocket to the other. So who
    /// reads ratings weighs them by who paid, what, and to which platform: all of it is in the log. Known from:
    /// erc-8004-contracts #91, #99.
    function test_an_advisor_rates_themselves_through_a_second_account_for_the_gas_and_the_platforms_share() external {
        address second = CHEATS.addr(SECOND_KEY);
        keys[second] = SECOND_KEY;
        _fund(second);
        uint256 wealth = token.balanceOf(second);
        uint256 before = gasleft();
        for (uint96 i = 0; i < 10; ++i) {
            _rated(_of(second, i, 0), 5);
        }
        uint256 gasEach = (before - gasleft()) / 10;
        (uint128 count, uint128 sum) = escrow.ratingOf(ADVISOR);
        require(count == 10 && sum == 50, "ten times five");
        _equal(escrow.balanceOf(address(token), ADVISOR) + token.balanceOf(second), wealth, "nothing lost");
        require(gasEach > 60_000, "cheaper than an honest session");

        _rated(_of(second, 10, 1_000), 5);
        wealth -= escrow.balanceOf(address(token), ADVISOR) + token.balanceOf(second);
        _equal(wealth, 150_000, "a platform's share is what it costs beside the gas");
    }

    /// @dev The same with money that was made up for it: `earned` says nothing without its token. It works; a rating of
    /// a session in a worthless token is worth as much.
    function test_a_rating_can_be_had_for_worthless_money() external {
        MadeUpToken junk = new MadeUpToken();
        Terms memory t = _interactions();
        t.token = address(junk);
        _rated(t, 5);
        (uint128 count,) = escrow.ratingOf(ADVISOR);
        _equal(count, 1, "counted like any other");
    }

    /// @dev Wants to ruin an advisor who quotes to everybody: opens, settles one unit by itself, leaves and gives one
    /// star, again and again. It works, and each costs the first unit's price, which the advisor has, and a grace
    /// period. An advisor who fears it quotes to whom they know, or closes first.
    function test_ruining_ratings_cost_a_unit_each_which_the_advisor_gets() external {
        for (uint96 i = 0; i < 3; ++i) {
            Terms memory t = _terms();
            t.salt = i;
            _open(t, DEPOSIT);
            _settle(t, 1); // sent by the client: the advisor never answered
            _leave(t);
            _later(t.closeGrace);
            escrow.finalize(_pack(t));
            _works(CLIENT, address(escrow), _ratingCall(t, 1));
        }
        (uint128 count, uint128 sum) = escrow.ratingOf(ADVISOR);
        require(count == 3 && sum == 3, "three times one");
        _equal(escrow.balanceOf(address(token), ADVISOR), 3 * 1_350_000, "the advisor's consolation");
    }

    /// @dev Wants many ratings of one session, or one without a session that earned, or in somebody's name. One rating,
    /// one answer, by the client and the advisor, where money was earned.
    function test_one_session_has_one_rating_and_one_answer_by_its_own_people() external {
        Terms memory t = _sponsored();
        t.tariff.unitSeconds = 0;
        _openFromBalance(t, DEPOSIT);
        bytes memory rating = _ratingCall(t, 5);
        _fails(STRANGER, address(escrow), rating, IErrors.SessionNotClosed.selector);
        _close(t, 1);
        address[4] memory others = [ADVISOR, SPONSOR, STRANGER, t.meterKey];
        for (uint256 i = 0; i < 4; ++i) {
            bytes memory own = abi.encodeCall(escrow.rate, (_pack(t), 5, "", ""));
            _fails(others[i], address(escrow), own, IErrors.SignatureMissing.selector);
        }
        _works(STRANGER, address(escrow), rating);
        _fails(CLIENT, address(escrow), _ratingCall(t, 1), IErrors.AlreadyRated.selector);
        _works(STRANGER, address(escrow), _answerCall(t));
        _fails(ADVISOR, address(escrow), _answerCall(t), IErrors.AlreadyAnswered.selector);

        t.salt = 8;
        _openFromBalance(t, DEPOSIT);
        _close(t, 0);
        _fails(CLIENT, address(escrow), _ratingCall(t, 1), IErrors.NothingEarned.selector);
    }

    /// @dev Wants money held back until somebody rates, or given for a good score. No payment looks at a rating. Known
    /// from: openbazaar-go #973, where the payout waited for the review.
    function test_no_payout_waits_for_a_rating_or_changes_with_it() external {
        uint256[3] memory paid;
        for (uint96 i = 0; i < 3; ++i) {
            Terms memory t = _interactions();
            t.salt = i;
            uint256 before = token.balanceOf(ADVISOR) + token.balanceOf(CLIENT);
            _open(t, DEPOSIT);
            _close(t, 4);
            if (i > 0) _works(CLIENT, address(escrow), _ratingCall(t, i == 1 ? 1 : 5));
            CHEATS.prank(ADVISOR);
            escrow.withdraw(address(token), 4_050_000, ADVISOR);
            paid[i] = before - token.balanceOf(ADVISOR) - token.balanceOf(CLIENT);
        }
        require(paid[0] == paid[1] && paid[1] == paid[2], "paid according to the score");
    }

    /// @dev Wants to silence a client by a quarrel: the session is left, not closed by the advisor, and nobody may rate
    /// it. However it closed, it is rated. Known from: OpenBazaar-Server #271.
    function test_a_session_that_was_left_and_finalized_is_rated_like_any_other() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        _settle(t, 1);
        _leave(t);
        _later(t.closeGrace);
        escrow.finalize(_pack(t));
        _works(CLIENT, address(escrow), _ratingCall(t, 1));
        _equal(_session(t).score, 1, "score");
    }

    /// @dev Wants to escape a bad rating: the advisor closes without any voucher, so that nothing is earned and nothing
    /// can be rated. It costs them the whole fee, and only works while nobody has settled: anyone with a voucher may.
    function test_an_advisor_escapes_a_rating_by_giving_up_the_whole_fee() external {
        Terms memory t = _interactions();
        uint256 before = token.balanceOf(CLIENT);
        _open(t, DEPOSIT);
        _close(t, 0); // the meter had signed 5
        _fails(CLIENT, address(escrow), _ratingCall(t, 1), IErrors.NothingEarned.selector);
        _equal(token.balanceOf(CLIENT), before, "the advice was free");

        t.salt = 8;
        _open(t, DEPOSIT);
        _settle(t, 5); // by the client this time
        _close(t, 0);
        _works(CLIENT, address(escrow), _ratingCall(t, 1));
    }

    /// @dev Wants fame by tips: tips an own account's money in circles. It works for the gas; the jar refuses only the
    /// same account on both sides. Tips are claims of their tippers.
    function test_tips_in_a_circle_cost_only_gas() external {
        CHEATS.prank(CLIENT);
        token.approve(address(jar), type(uint256).max);
        CHEATS.prank(ADVISOR);
        token.approve(address(jar), type(uint256).max);
        uint256 wealth = token.balanceOf(CLIENT);
        for (uint256 i = 0; i < 5; ++i) {
            _works(CLIENT, address(jar), abi.encodeCall(jar.tip, (ADVISOR, "", address(token), 70, "")));
            _works(ADVISOR, address(jar), abi.encodeCall(jar.tip, (CLIENT, "", address(token), 70, "")));
        }
        bytes memory own = abi.encodeCall(jar.tip, (CLIENT, "", address(token), 70, ""));
        _fails(CLIENT, address(jar), own, IErrors.InvalidRecipient.selector);
        _equal(token.balanceOf(CLIENT), wealth, "nothing lost");
    }

    // ------------------------------------------------------------------ helpers

    function _of(address client, uint96 salt, uint16 feeBps) private view returns (Terms memory t) {
        t = _interactions();
        (t.client, t.payer, t.salt, t.feeBps) = (client, client, salt, feeBps);
        if (feeBps == 0) t.feeRecipient = address(0);
    }

    function _rated(Terms memory t, uint8 score) private {
        _open(t, DEPOSIT);
        _close(t, 1);
        _equal(uint256(_session(t).status), uint256(Status.Closed), "status");
        _works(t.client, address(escrow), _ratingCall(t, score));
    }
}
