// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Closing, Opening, Settlement, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Terms} from "../Base.sol";
import {OwnedWallet} from "../mocks/Wallets.sol";
import {Attack} from "./Attack.sol";

/// @dev One account in several parts of the same session: each combination is refused, or the money is right.
contract SamePartiesTest is Attack {
    uint256 private constant START = 10_000e6;
    address[3] private accounts;
    uint256 private opened;
    uint256 private refused;

    /// @dev Wants an advantage from being two parties at once: five parts, three accounts, 243 ways to share them out.
    /// Refused are an advisor who is their own client or holds the meter; in all others each account gets what its
    /// parts get, to the last unit.
    function test_whoever_is_in_several_parts_gets_what_the_parts_get() external {
        accounts = [CLIENT, ADVISOR, SPONSOR];
        for (uint256 i = 0; i < 3; ++i) {
            _stock(accounts[i]);
        }
        for (uint256 i = 0; i < 243; ++i) {
            uint256 before = MORE_CHEATS.snapshotState();
            _play(_shared(i));
            (uint256 openedNow, uint256 refusedNow) = (opened, refused);
            MORE_CHEATS.revertToState(before);
            (opened, refused) = (openedNow, refusedNow);
        }
        // Advisor and client the same: 81; advisor and meter the same: 81; both: 27.
        _equal(refused, 81 + 81 - 27, "refused");
        _equal(opened, 243 - refused, "opened");
    }

    function _shared(uint256 i) private view returns (Terms memory t) {
        t = _interactions();
        t.client = accounts[i % 3];
        t.payer = accounts[i / 3 % 3];
        t.advisor = accounts[i / 9 % 3];
        t.meterKey = accounts[i / 27 % 3];
        t.feeRecipient = accounts[i / 81];
        t.feeBps = 1_234;
    }

    function _play(Terms memory t) private {
        Opening memory o = _opening(t, DEPOSIT);
        if (t.client == t.advisor || t.meterKey == t.advisor) {
            bytes memory open = abi.encodeCall(escrow.openFromBalance, (o));
            _fails(RELAYER, address(escrow), open, IErrors.InvalidParty.selector);
            ++refused;
            return;
        }
        ++opened;
        _watch(t);
        escrow.openFromBalance(o);
        escrow.settle(_settlementBy(keys[t.meterKey], t, 3));
        _booksAreRight(address(token), 0);
        Closing memory c = _closing(t, 5);
        c.voucher = _voucherBy(keys[t.meterKey], t, 5);
        escrow.closeFor(c);
        uint256 part = uint256(5_500_000) * 1_234 / 10_000;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 expected = START;
            if (accounts[i] == t.payer) expected -= 5_500_000;
            if (accounts[i] == t.advisor) expected += 5_500_000 - part;
            if (accounts[i] == t.feeRecipient) expected += part;
            _equal(escrow.balanceOf(address(token), accounts[i]), expected, "what the parts get");
        }
        _booksAreRight(address(token), 0);
    }

    /// @dev Wants nobody, the escrow, the jar or the token itself in a part. Nobody and the escrow are refused in each;
    /// others in no part that must sign, for they cannot.
    function test_nobody_the_escrow_the_jar_and_the_token_are_no_parties() external {
        address[4] memory strange = [address(0), address(escrow), address(jar), address(token)];
        for (uint256 i = 0; i < 4; ++i) {
            for (uint256 part = 0; part < 3; ++part) {
                Terms memory t = _sponsored();
                if (part == 0) t.client = strange[i];
                if (part == 1) t.payer = strange[i];
                if (part == 2) t.advisor = strange[i];
                Opening memory o = _opening(t, DEPOSIT);
                // What strangers would send for those who sign nothing:
                if (part == 0) o.clientSignature = _sign(STRANGER_KEY, _idOf(t));
                if (part == 1) o.payerSignature = o.advisorSignature;
                if (part == 2) o.advisorSignature = _sign(STRANGER_KEY, _idOf(t));
                // Packed, a payer who is nobody means that the client pays, and nobody signed such terms.
                bool nobodyPays = part == 1 && i == 0;
                bytes4 why = i < 2 && !nobodyPays ? IErrors.InvalidParty.selector : IErrors.WrongSigner.selector;
                _fails(STRANGER, address(escrow), abi.encodeCall(escrow.openFromBalance, (o)), why);
            }
        }
    }

    /// @dev Wants the platform's share lost, or taken, by a recipient that cannot use it. Parts that sign nothing may
    /// be named by the others, at their own cost: a share for the jar or a dead address stays in its balance, and
    /// nobody else's money changes.
    function test_a_share_for_somebody_who_cannot_use_it_stays_in_their_balance() external {
        people.push(address(jar));
        Terms memory t = _interactions();
        t.feeRecipient = address(jar);
        _watch(t);
        _open(t, DEPOSIT);
        _close(t, 1);
        _equal(escrow.balanceOf(address(token), address(jar)), 150_000, "the jar's balance");
        _booksAreRight(address(token), 0);
    }

    /// @dev Wants a stranger's name on a bill as meter or platform. It can be put there without asking them, and means
    /// nothing to them: a meter that does not sign earns nobody anything, a share is a gift.
    function test_meter_and_platform_are_named_without_consent_and_owe_nothing() external {
        Terms memory t = _interactions();
        (t.meterKey, t.feeRecipient) = (STRANGER, STRANGER);
        _open(t, DEPOSIT);
        _refuses(t, _settlement(t, 1), _wrong(STRANGER, CHEATS.addr(METER_KEY)));
        uint256 before = token.balanceOf(CLIENT);
        _close(t, 0);
        _equal(token.balanceOf(CLIENT) - before, DEPOSIT, "all of it");
        _equal(escrow.balanceOf(address(token), STRANGER), 0, "stranger");
    }

    /// @dev Wants the client's own key as meter to sign away more than a meter should: one key then signs readings and
    /// consents. Each message is of one type, so that no reading is a consent; but who has the key has both.
    function test_a_client_whose_key_is_the_meter_signs_readings_that_are_only_readings() external {
        Terms memory t = _interactions();
        t.meterKey = CLIENT;
        _open(t, DEPOSIT);
        bytes memory reading = _sign(CLIENT_KEY, _digest(_voucherHash(t, 5, _journal(5))));
        bytes memory ask = abi.encodeCall(escrow.requestClose, (_pack(t), CLIENT, reading));
        _fails(STRANGER, address(escrow), ask, IErrors.WrongSigner.selector);
        escrow.settle(_settlementBy(CLIENT_KEY, t, 5));
        _equal(_session(t).earned, 5_500_000, "earned");
    }

    /// @dev Wants a platform that holds the meter to bill for itself: it signs units, gets its share of them, and
    /// nobody else was there. It works up to the deposit, or in a time tariff up to the time: who holds the meter
    /// decides, and whoever signs such terms agrees to it.
    function test_a_platform_that_holds_the_meter_bills_up_to_the_deposit_and_up_to_the_time() external {
        Terms memory t = _interactions();
        (t.meterKey, t.feeRecipient, t.feeBps) = (STRANGER, STRANGER, 9_000);
        _open(t, DEPOSIT);
        escrow.settle(_settlementBy(STRANGER_KEY, t, type(uint32).max));
        _equal(escrow.balanceOf(address(token), STRANGER), DEPOSIT * 9 / 10, "platform");

        (t.tariff.unitSeconds, t.salt) = (60, 8);
        _open(t, DEPOSIT);
        _later(5 minutes);
        Settlement memory s = _settlementBy(STRANGER_KEY, t, 7);
        _fails(STRANGER, address(escrow), abi.encodeCall(escrow.settle, (s)), IErrors.TooManyUnits.selector);
    }

    /// @dev Wants the advisor's meter through a second account of theirs. The escrow compares accounts, not people:
    /// terms whose meter is the advisor's second key bill what the advisor likes. Whoever pays looks whose meter it is.
    function test_an_advisor_with_the_meter_under_a_second_name_bills_what_they_like() external {
        Terms memory t = _interactions();
        t.meterKey = CHEATS.addr(0xA2);
        _open(t, DEPOSIT);
        escrow.settle(_settlementBy(0xA2, t, 1_000));
        _equal(_session(t).earned, DEPOSIT, "all of it");
    }

    /// @dev Wants one signature of a custodian, whose key owns the wallets of both sides, to count for both. It does:
    /// quote and consent are the same message. A custodian of both sides can do so anyway.
    function test_one_owner_of_both_wallets_agrees_for_both_with_one_signature() external {
        Terms memory t = _sponsored();
        (t.advisor, t.client) = (address(new OwnedWallet(STRANGER)), address(new OwnedWallet(STRANGER)));
        (keys[t.advisor], keys[t.client]) = (STRANGER_KEY, STRANGER_KEY);
        _stock(SPONSOR);
        Opening memory o = _opening(t, DEPOSIT);
        o.clientSignature = o.advisorSignature;
        escrow.openFromBalance(o);
        _equal(uint256(_session(t).status), uint256(Status.Open), "status");
    }
}
