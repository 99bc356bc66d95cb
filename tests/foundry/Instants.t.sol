// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {Closing, Session, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {ITipJar} from "../../contracts/interfaces/ITipJar.sol";
import {Authorization} from "../../contracts/libraries/Tokens.sol";
import {Base, Terms} from "./Base.sol";

/// @dev Every exact second that decides something, with the one before it and the one after it. Each of the three has a
/// session of its own, alike but for the salt. What happens where 40 bits of time end: LastSeconds.t.sol.
contract InstantsTest is Base {
    bytes32 private constant NONCE = keccak256("nonce");

    /// @dev Three that are open since now.
    function _three(Terms memory plain) private returns (Terms[3] memory ts) {
        for (uint96 i = 0; i < 3; ++i) {
            ts[i] = abi.decode(abi.encode(plain), (Terms));
            ts[i].salt = 100 + i;
            _open(ts[i], DEPOSIT);
        }
    }

    /// @dev Three that somebody asked to close in their second minute; also when their grace period ends.
    function _threeLeft() private returns (Terms[3] memory ts, uint256 graceEnds) {
        ts = _three(_terms());
        _later(60);
        for (uint256 i = 0; i < 3; ++i) {
            _leave(ts[i]);
        }
        return (ts, time + ts[0].closeGrace);
    }

    function _is(Terms memory t, Status status, uint80 earned) private view {
        Session memory s = _session(t);
        _equal(uint256(s.status), uint256(status), "status");
        _equal(s.earned, earned, "earned");
    }

    // ------------------------------------------------------------------ quotes

    function test_a_quote_opens_in_the_last_second_before_openBefore_and_not_in_that_one_or_later() external {
        Terms memory t = _terms();
        uint256 openBefore = t.openBefore;
        for (uint256 i = 0; i < 3; ++i) {
            t.salt = uint96(100 + i);
            bytes memory quote = _signBy(ADVISOR, _hashOf(t));
            _at(openBefore - 1 + i);
            if (i > 0) CHEATS.expectRevert(abi.encodeWithSelector(IErrors.QuoteExpired.selector, openBefore, time));
            CHEATS.prank(CLIENT);
            escrow.open(_pack(t), DEPOSIT, quote, "");
            _is(t, i == 0 ? Status.Open : Status.None, 0);
        }
    }

    function test_a_quote_opens_from_exactly_30_days_before_openBefore_on() external {
        Terms memory t = _terms();
        uint256 first = time + 1 days;
        t.openBefore = uint40(first + 30 days);
        for (uint256 i = 0; i < 3; ++i) {
            t.salt = uint96(100 + i);
            bytes memory quote = _signBy(ADVISOR, _hashOf(t));
            _at(first - 1 + i);
            bytes memory why =
                abi.encodeWithSelector(IErrors.QuoteTooFarAhead.selector, t.openBefore, first - 1 + 30 days);
            if (i == 0) CHEATS.expectRevert(why);
            CHEATS.prank(CLIENT);
            escrow.open(_pack(t), DEPOSIT, quote, "");
            _is(t, i == 0 ? Status.None : Status.Open, 0);
        }
    }

    // ------------------------------------------------------------------ grace

    function test_ESC7_finalize_waits_to_the_last_second_of_grace_and_not_one_longer() external {
        (Terms[3] memory ts, uint256 graceEnds) = _threeLeft();
        for (uint256 i = 0; i < 3; ++i) {
            _at(graceEnds - 1 + i);
            if (i == 0) {
                CHEATS.expectRevert(abi.encodeWithSelector(IErrors.GraceRunning.selector, graceEnds, graceEnds - 1));
            }
            escrow.finalize(_pack(ts[i]));
            _is(ts[i], i == 0 ? Status.Closing : Status.Closed, 0);
            if (i > 0) _equal(_session(ts[i]).closedAt, time, "closedAt");
        }
    }

    function test_ESC7_a_voucher_settles_before_at_and_after_the_end_of_grace() external {
        (Terms[3] memory ts, uint256 graceEnds) = _threeLeft();
        for (uint256 i = 0; i < 3; ++i) {
            _at(graceEnds - 1 + i);
            _settle(ts[i], 2);
            _is(ts[i], Status.Closing, 2_500_000);
        }
        escrow.finalize(_pack(ts[0]));
        _is(ts[0], Status.Closed, 2_500_000);
    }

    function test_ESC7_the_advisor_closes_before_at_and_after_the_end_of_grace() external {
        (Terms[3] memory ts, uint256 graceEnds) = _threeLeft();
        for (uint256 i = 0; i < 3; ++i) {
            _at(graceEnds - 1 + i);
            _close(ts[i], 2);
            _is(ts[i], Status.Closed, 2_500_000);
        }
    }

    function test_ESC7_anyone_closes_by_the_advisors_signature_before_at_and_after_the_end_of_grace() external {
        (Terms[3] memory ts, uint256 graceEnds) = _threeLeft();
        for (uint256 i = 0; i < 3; ++i) {
            _at(graceEnds - 1 + i);
            Closing memory c = _closing(ts[i], 2);
            CHEATS.prank(RELAYER);
            escrow.closeFor(c);
            _is(ts[i], Status.Closed, 2_500_000);
        }
    }

    // ------------------------------------------------------------------ billed time

    function test_ESC5_a_unit_may_be_billed_from_its_first_second_on() external {
        _bills(1, [uint32(1), 1, 2, 3]);
        _bills(60, [uint32(1), 1, 2, 2]);
        _bills(1 days, [uint32(1), 1, 2, 2]);
    }

    /// @dev `allowed` units: in the second of opening, in the last second of the first unit, and in the first and the
    /// next second after it.
    function _bills(uint32 unitSeconds, uint32[4] memory allowed) private {
        Terms memory t = _terms();
        t.tariff.unitSeconds = unitSeconds;
        t.salt = unitSeconds;
        _open(t, DEPOSIT);
        uint256 openedAt = time;
        uint256[4] memory elapsed = [0, unitSeconds - 1, uint256(unitSeconds), unitSeconds + 1];
        uint32 settled;
        for (uint256 i = 0; i < 4; ++i) {
            _at(openedAt + elapsed[i]);
            uint32 most = allowed[i];
            _refuses(t, _settlement(t, most + 1), abi.encodeWithSelector(IErrors.TooManyUnits.selector, most, most + 1));
            if (most > settled) _settle(t, most);
            settled = most;
            _is(t, Status.Open, 500_000 + uint80(most) * 1e6);
        }
    }

    function test_ESC5_time_stops_in_the_very_second_in_which_somebody_asks_to_close() external {
        Terms[3] memory ts = _three(_terms());
        uint256 secondMinute = time + 60;
        for (uint256 i = 0; i < 3; ++i) {
            _at(secondMinute - 1 + i);
            _leave(ts[i]);
        }
        _later(30 minutes);
        for (uint256 i = 0; i < 3; ++i) {
            uint32 most = i == 0 ? 1 : 2;
            bytes memory why = abi.encodeWithSelector(IErrors.TooManyUnits.selector, most, most + 1);
            _refuses(ts[i], _settlement(ts[i], most + 1), why);
            _refuses(ts[i], _closing(ts[i], most + 1), why);
            _settle(ts[i], most);
        }
    }

    // ------------------------------------------------------------------ deadlines of signatures

    function test_a_closing_signature_closes_to_its_last_second() external {
        Terms[3] memory ts = _three(_interactions());
        Closing[3] memory rows;
        for (uint256 i = 0; i < 3; ++i) {
            rows[i] = _closing(ts[i], 1);
        }
        uint256 deadline = rows[0].deadline;
        for (uint256 i = 0; i < 3; ++i) {
            _at(deadline - 1 + i);
            if (i == 2) {
                _refuses(
                    ts[i], rows[i], abi.encodeWithSelector(IErrors.SignatureExpired.selector, deadline, deadline + 1)
                );
                return;
            }
            escrow.closeFor(rows[i]);
            _is(ts[i], Status.Closed, 1_500_000);
        }
    }

    function test_a_withdrawal_signature_pays_to_its_last_second() external {
        _stock(CLIENT);
        uint256 deadline = time + 1 hours;
        bytes[3] memory signatures;
        for (uint256 i = 0; i < 3; ++i) {
            signatures[i] = _signBy(
                CLIENT,
                keccak256(abi.encode(_type(WITHDRAWAL_TYPE), CLIENT, address(token), 1e6, STRANGER, i, deadline))
            );
        }
        for (uint256 i = 0; i < 3; ++i) {
            _at(deadline - 1 + i);
            if (i == 2) {
                CHEATS.expectRevert(abi.encodeWithSelector(IErrors.SignatureExpired.selector, deadline, deadline + 1));
            }
            escrow.withdrawFor(CLIENT, address(token), 1e6, STRANGER, i, deadline, signatures[i]);
        }
        _equal(token.balanceOf(STRANGER), 2e6, "paid");
        _equal(escrow.nonces(CLIENT), 2, "nonce");
    }

    // ------------------------------------------------------------------ ratings

    function test_ESC10_a_session_is_rated_to_the_last_second_of_30_days() external {
        Terms[3] memory ts = _three(_interactions());
        for (uint256 i = 0; i < 3; ++i) {
            _close(ts[i], 1);
        }
        uint256 windowEnds = time + 30 days;
        for (uint256 i = 0; i < 3; ++i) {
            _at(windowEnds - 1 + i);
            if (i == 2) {
                CHEATS.expectRevert(abi.encodeWithSelector(IErrors.RatingWindowOver.selector, windowEnds, time));
            }
            CHEATS.prank(CLIENT);
            escrow.rate(_pack(ts[i]), 5, "", "");
            _equal(_session(ts[i]).score, i == 2 ? 0 : 5, "score");
        }
    }

    // ------------------------------------------------------------------ EIP-3009

    function test_an_authorization_deposits_only_strictly_between_its_two_times() external {
        uint256 start = time;
        for (uint256 i = 0; i < 4; ++i) {
            bytes32 salt = bytes32(i);
            bytes32 nonce = keccak256(abi.encode(keccak256("Deposit"), address(token), CLIENT, salt));
            Authorization memory a = _authorize(CLIENT_KEY, address(escrow), 1e6, nonce);
            _paysOnlyWithin(
                i,
                address(escrow),
                abi.encodeCall(escrow.depositWithAuthorization, (address(token), CLIENT, 1e6, salt, a))
            );
            _at(start);
        }
        _equal(escrow.balanceOf(address(token), CLIENT), 2e6, "two arrived");
    }

    function test_an_authorization_opens_only_strictly_between_its_two_times() external {
        uint256 start = time;
        Terms memory t = _terms();
        for (uint256 i = 0; i < 4; ++i) {
            t.salt = uint96(100 + i);
            Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
            bytes memory quote = _signBy(ADVISOR, _hashOf(t));
            _paysOnlyWithin(
                i, address(escrow), abi.encodeCall(escrow.openWithAuthorization, (_pack(t), DEPOSIT, a, quote, ""))
            );
            _is(t, i == 1 || i == 2 ? Status.Open : Status.None, 0);
            _at(start);
        }
    }

    function test_an_authorization_tops_up_only_strictly_between_its_two_times() external {
        uint256 start = time;
        Terms memory t = _terms();
        for (uint256 i = 0; i < 4; ++i) {
            t.salt = uint96(100 + i);
            _open(t, DEPOSIT);
            bytes32 nonce = keccak256(abi.encode(_idOf(t), DEPOSIT + 1));
            Authorization memory a = _authorize(CLIENT_KEY, address(escrow), 1, nonce);
            _paysOnlyWithin(
                i, address(escrow), abi.encodeCall(escrow.topUpWithAuthorization, (_pack(t), DEPOSIT + 1, a))
            );
            _equal(_session(t).deposit, i == 1 || i == 2 ? DEPOSIT + 1 : DEPOSIT, "deposit");
            _at(start);
        }
    }

    function test_an_authorization_tips_only_strictly_between_its_two_times() external {
        uint256 start = time;
        ITipJar jar = ITipJar(_shipped("TipJar"));
        for (uint256 i = 0; i < 4; ++i) {
            bytes32 salt = bytes32(i);
            bytes32 nonce = keccak256(abi.encode(keccak256("Tip"), address(token), ADVISOR, NONCE, NONCE, salt));
            Authorization memory a = _authorize(CLIENT_KEY, address(jar), 1e6, nonce);
            bytes memory call =
                abi.encodeCall(jar.tipWithAuthorization, (CLIENT, ADVISOR, NONCE, address(token), 1e6, NONCE, salt, a));
            _paysOnlyWithin(i, address(jar), call);
            _at(start);
        }
        _equal(token.balanceOf(ADVISOR), 2e6, "two arrived");
    }

    /// @dev `Base._authorize` signs for more than `time - 1` and less than an hour from `time`. Of its four exact seconds
    /// the outer two (0 and 3) are refused by the token.
    function _paysOnlyWithin(uint256 second, address to, bytes memory call) private {
        uint256[4] memory seconds_ = [time - 1, time, time + 1 hours - 1, time + 1 hours];
        _at(seconds_[second]);
        (bool done, bytes memory why) = to.call(call);
        require(done == (second == 1 || second == 2), done ? "paid" : "refused");
        if (!done) _equal(why, abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(token)), "why");
    }
}
