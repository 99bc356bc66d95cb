// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Session, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Terms} from "../Base.sol";
import {MadeUpToken} from "../mocks/Tokens.sol";
import {Attack} from "./Attack.sol";

/// @dev Numbers and clocks at their ends. Chains keep time from today on; the first seconds, clocks that run backwards
/// and the year 36812 exist on local chains only, and what they do is written down here.
contract ClocksAndNumbersTest is Attack {
    uint80 private constant MOST = type(uint80).max;
    uint32 private constant MOST_UNITS = type(uint32).max;
    uint256 private constant LAST = type(uint40).max; // the last second that 40 bits hold

    // ------------------------------------------------------------------ amounts

    /// @dev Wants an overflow: the dearest tariff, the most units, the largest deposit, a platform that takes all. The
    /// fee has room in 256 bits, and the deposit cuts it at its last base unit.
    function test_the_dearest_tariff_and_the_most_units_earn_the_deposit_and_no_more() external {
        Terms memory t = _interactions();
        t.tariff.connectFee = 0;
        (t.tariff.unitPrice, t.tariff.stepPrice, t.tariff.stepUnits) = (MOST, MOST, 1);
        t.feeBps = 10_000;
        token.mint(CLIENT, MOST);
        _watch(t);
        _open(t, MOST);
        _settle(t, MOST_UNITS);
        _equal(_session(t).earned, MOST, "earned");
        _equal(escrow.balanceOf(address(token), PLATFORM), MOST, "platform");
        _close(t, MOST_UNITS);
        _booksAreRight(address(token), 0);
    }

    /// @dev Wants terms whose smallest deposit is above the largest that there is. They never open, and cost nobody
    /// anything.
    function test_terms_dearer_than_any_deposit_never_open() external {
        Terms memory t = _interactions();
        (t.tariff.connectFee, t.tariff.unitPrice) = (MOST, 1);
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        bytes memory open = abi.encodeCall(escrow.open, (_pack(t), MOST, quote, ""));
        _fails(CLIENT, address(escrow), open, IErrors.DepositTooSmall.selector);
    }

    /// @dev Wants a top-up beyond 80 bits to wrap to a small one. Calldata with more bits is no call at all.
    function test_a_deposit_of_more_than_80_bits_is_no_deposit() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        bytes memory data = abi.encodeCall(escrow.topUp, (_pack(t), DEPOSIT + 1));
        bytes memory wide = bytes.concat(data);
        uint256 wrapping = 2 ** 80 + DEPOSIT + 1;
        assembly ("memory-safe") {
            mstore(add(add(wide, 36), 224), wrapping) // behind the selector and seven words
        }
        (bool done,) = _send(CLIENT, address(escrow), wide);
        require(!done, "wrapped");
        _works(CLIENT, address(escrow), data);
    }

    /// @dev Wants an account's balance so full that nothing can be credited any more, and so its sessions stuck. At
    /// most 2^128 - 1 comes in at once, so that filling 2^256 takes 2^128 deposits.
    function test_a_balance_cannot_be_filled_to_the_brim() external {
        MadeUpToken madeUp = new MadeUpToken();
        uint256 most = type(uint128).max;
        for (uint256 i = 1; i <= 10; ++i) {
            escrow.deposit(address(madeUp), ADVISOR, most);
            _equal(escrow.balanceOf(address(madeUp), ADVISOR), i * most, "balance");
        }
        bytes memory more = abi.encodeCall(escrow.deposit, (address(madeUp), ADVISOR, most + 1));
        _fails(STRANGER, address(escrow), more, IErrors.AmountNotReceived.selector);
    }

    /// @dev Wants an arrival counted by a token whose own numbers wrap. What is less than before has not arrived.
    function test_a_token_whose_numbers_wrap_pays_nothing_in() external {
        MadeUpToken madeUp = new MadeUpToken();
        madeUp.set(address(escrow), type(uint256).max);
        bytes memory in_ = abi.encodeCall(escrow.deposit, (address(madeUp), STRANGER, 5));
        _fails(STRANGER, address(escrow), in_, IErrors.AmountNotReceived.selector);
    }

    // ------------------------------------------------------------------ the first seconds

    /// @dev Wants the time zero to read as "never": a session opened then that counts as empty, closed or open for
    /// ever. It opens once, settles and closes, and money is where it belongs.
    function test_a_session_of_second_zero_opens_once_settles_and_closes() external {
        _at(0);
        Terms memory t = _terms();
        _watch(t);
        _open(t, DEPOSIT);
        bytes memory again = abi.encodeCall(escrow.open, (_pack(t), DEPOSIT, _signBy(ADVISOR, _hashOf(t)), ""));
        _fails(CLIENT, address(escrow), again, IErrors.SessionExists.selector);
        _at(1);
        _settle(t, 1);
        uint256 before = token.balanceOf(CLIENT);
        _close(t, 1);
        _equal(token.balanceOf(CLIENT) - before, DEPOSIT - 1_500_000, "refund");
        _fails(CLIENT, address(escrow), again, IErrors.SessionExists.selector);
        _booksAreRight(address(token), 0);
    }

    /// @dev The same with a request to close: asked in second zero it is not there afterwards, and can be made again. A
    /// revocation in second zero holds.
    function test_a_request_to_close_in_second_zero_counts_for_nothing_and_can_be_made_again() external {
        _at(0);
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _leave(t);
        bytes memory finalize = abi.encodeCall(escrow.finalize, (_pack(t)));
        _later(7 days);
        _fails(STRANGER, address(escrow), finalize, IErrors.NotClosing.selector);
        _leave(t);
        _later(t.closeGrace);
        _works(STRANGER, address(escrow), finalize);

        _at(0);
        Terms memory other = _terms();
        other.salt = 8;
        CHEATS.prank(ADVISOR);
        escrow.revoke(_pack(other), ADVISOR, "");
        bytes memory open = abi.encodeCall(escrow.open, (_pack(other), DEPOSIT, _signBy(ADVISOR, _hashOf(other)), ""));
        _fails(CLIENT, address(escrow), open, IErrors.SessionExists.selector);
    }

    // ------------------------------------------------------------------ clocks that run backwards

    /// @dev Wants units or grace from a clock that is set back. A session from the future allows one unit; a request to
    /// close then waits until the clock is there again; quotes and signatures that were over hold again.
    function test_a_clock_set_back_allows_one_unit_lengthens_grace_and_revives_what_was_over() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _later(1 hours);
        _leave(t);
        uint256 asked = time;
        _at(time - 1 days);
        _refuses(t, _settlement(t, 62), abi.encodeWithSelector(IErrors.TooManyUnits.selector, 61, 62));
        _at(asked + t.closeGrace - 1);
        bytes memory finalize = abi.encodeCall(escrow.finalize, (_pack(t)));
        _fails(STRANGER, address(escrow), finalize, IErrors.GraceRunning.selector);
        _at(asked + t.closeGrace);
        _works(STRANGER, address(escrow), finalize);

        Terms memory over = _terms();
        (over.salt, over.openBefore) = (8, uint40(time));
        bytes memory open = abi.encodeCall(escrow.open, (_pack(over), DEPOSIT, _signBy(ADVISOR, _hashOf(over)), ""));
        _fails(CLIENT, address(escrow), open, IErrors.QuoteExpired.selector);
        _at(time - 1);
        _works(CLIENT, address(escrow), open);
        _at(time - 1 days); // before it was opened
        CHEATS.prank(CLIENT);
        escrow.requestClose(_pack(over), CLIENT, "");
        _refuses(over, _settlement(over, 2), abi.encodeWithSelector(IErrors.TooManyUnits.selector, 1, 2));
    }

    // ------------------------------------------------------------------ the last second, and beyond

    /// @dev Wants money stuck where 40 bits end, in the year 36812. In the last week nobody can ask to close, for the
    /// end of grace has no place; the advisor still closes. Beyond, nothing opens any more, and what is open settles
    /// and closes.
    function test_at_the_end_of_40_bits_sessions_still_settle_and_close() external {
        _at(LAST - 1 hours);
        Terms memory t = _terms();
        (t.openBefore, t.closeGrace) = (uint40(LAST), 7 days);
        for (t.salt = 1; t.salt <= 2; ++t.salt) {
            _watch(t);
            _open(t, DEPOSIT);
        }
        t.salt = 1;
        (bool done,) = _send(CLIENT, address(escrow), abi.encodeCall(escrow.requestClose, (_pack(t), CLIENT, "")));
        require(!done, "grace beyond the end");
        _at(LAST);
        _settle(t, 30);
        _close(t, 31);
        _equal(_session(t).closedAt, LAST, "closed in the last second");
        t.salt = 2;
        _at(LAST + 1 days);
        _settle(t, 20); // the clock of the meter goes on in 256 bits
        _close(t, 25);
        _equal(uint256(_session(t).status), uint256(Status.Closed), "closed beyond");
        _equal(_session(t).earned, 25_500_000, "earned");
        _booksAreRight(address(token), 0);

        t.salt = 3;
        bytes memory open = abi.encodeCall(escrow.open, (_pack(t), DEPOSIT, _signBy(ADVISOR, _hashOf(t)), ""));
        _fails(CLIENT, address(escrow), open, IErrors.QuoteExpired.selector);
    }

    /// @dev Beyond that end times are cut: who asks to close is taken to have asked in the year 1970, and grace is over
    /// at once. The advisors of that year lose the grace period.
    function test_beyond_the_end_of_40_bits_there_is_no_grace() external {
        _at(LAST - 1 hours);
        Terms memory t = _terms();
        t.openBefore = uint40(LAST);
        _open(t, DEPOSIT);
        _at(LAST + 1 days);
        _leave(t);
        _later(1);
        escrow.finalize(_pack(t));
        Session memory s = _session(t);
        _equal(s.earned, 0, "earned");
        _equal(s.deposit, DEPOSIT, "deposit");
    }
}
