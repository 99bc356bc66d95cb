// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Closing} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Terms} from "../Base.sol";
import {HookUSD, LockedWallet} from "../mocks/Hostile.sol";
import {AnsweringToken, BlacklistToken, MoodyToken, PlainToken} from "../mocks/Tokens.sol";
import {HookedAccount, MoodyRecipient} from "../mocks/Wallets.sol";
import {Attack} from "./Attack.sol";

/// @dev Recipients and tokens that do not take money, on each path on which it leaves. How refunds fare at every level
/// of gas is in GasSweeps.
contract RecipientAttacksTest is Attack {
    uint80 private constant REFUND = DEPOSIT - 1_500_000; // of a session of one unit

    // ------------------------------------------------------------------ refunds, which are pushed

    /// @dev Wants an advisor's earnings, or other sessions, held up by a payer who does not take a refund: ten such
    /// payers in a batch. Each costs its stipend and gets a balance. Known from: tokenize.it #424.
    function test_ten_payers_who_take_nothing_hold_nobody_up() external {
        Closing[] memory rows = new Closing[](11);
        for (uint96 i = 0; i < 11; ++i) {
            MoodyRecipient payer = new MoodyRecipient();
            CHEATS.deal(address(payer), 1 ether);
            Terms memory t = _interactions();
            (t.payer, t.token, t.salt) = (address(payer), COIN, i);
            _open(t, DEPOSIT);
            people.push(address(payer));
            if (i < 10) payer.become(MoodyRecipient.Mood(1 + i % 3)); // reverts, burns gas, bombs
            rows[i] = _closing(t, 1);
        }
        uint256 before = gasleft();
        escrow.closeBatch(rows);
        require(before - gasleft() < 11 * 120_000, "cost more than their stipends");
        _equal(escrow.balanceOf(COIN, ADVISOR), 11 * 1_350_000, "advisor");
        _equal(people[people.length - 1].balance, 1 ether - 1_500_000, "the one who takes it");
        _booksAreRight(COIN, 0);
    }

    /// @dev Wants a refund in the escrow rather than in the payer's wallet, from outside: closes in the very moment
    /// when the wallet is at work and lets nobody in. It works; the refund waits in the payer's balance, and only
    /// theirs. So a contract that pays must be able to withdraw.
    function test_a_close_while_the_payers_wallet_is_locked_credits_the_refund() external {
        LockedWallet wallet = new LockedWallet();
        CHEATS.deal(address(wallet), 1 ether);
        Terms memory t = _interactions();
        (t.payer, t.token) = (address(wallet), COIN);
        (bytes memory quote, bytes memory consent) = (_signBy(ADVISOR, _hashOf(t)), _signBy(CLIENT, _hashOf(t)));
        wallet.execute(address(escrow), DEPOSIT, abi.encodeCall(escrow.open, (_pack(t), DEPOSIT, quote, consent)));
        bytes memory close = abi.encodeCall(escrow.closeFor, (_closing(t, 1)));
        CHEATS.prank(STRANGER);
        wallet.work(address(escrow), close);
        _equal(escrow.balanceOf(COIN, address(wallet)), REFUND, "balance");
        wallet.execute(address(escrow), 0, abi.encodeCall(escrow.withdraw, (COIN, REFUND, address(wallet))));
        _equal(address(wallet).balance, 1 ether - 1_500_000, "withdrawn");
    }

    /// @dev Wants a blacklisted advisor or platform to lose their part, or the payer's refund to wait for it. Parts are
    /// credited, not paid, so the list is asked only when somebody withdraws, and to where. Known from: tokenize.it
    /// #424.
    function test_an_advisor_and_a_platform_on_a_blacklist_are_credited_and_withdraw_elsewhere() external {
        BlacklistToken lists = new BlacklistToken();
        Terms memory t = _tokenSession(lists);
        lists.blacklist(ADVISOR, true);
        lists.blacklist(PLATFORM, true);
        _close(t, 1);
        _equal(lists.balanceOf(CLIENT), REFUND, "refund");
        bytes memory out = abi.encodeCall(escrow.withdraw, (address(lists), 1_350_000, ADVISOR));
        _fails(ADVISOR, address(escrow), out, IErrors.PaymentFailed.selector);
        _works(ADVISOR, address(escrow), abi.encodeCall(escrow.withdraw, (address(lists), 1_350_000, RELAYER)));
        _works(PLATFORM, address(escrow), abi.encodeCall(escrow.withdraw, (address(lists), 150_000, RELAYER)));
        _equal(lists.balanceOf(RELAYER), 1_500_000, "elsewhere");
    }

    // ------------------------------------------------------------------ withdrawals and tips, which fail whole

    /// @dev Wants a withdrawal counted that did not arrive. It reverts whole, whatever recipient or token do.
    function test_a_withdrawal_that_is_not_taken_leaves_the_balance() external {
        MoodyRecipient moody = new MoodyRecipient();
        MoodyToken token_ = new MoodyToken();
        AnsweringToken answering = new AnsweringToken();
        _depositToken(token_);
        _depositToken(answering);
        CHEATS.prank(CLIENT);
        escrow.deposit{value: 70}(COIN, CLIENT, 70);
        for (uint256 i = 1; i <= 3; ++i) {
            moody.become(MoodyRecipient.Mood(i));
            token_.become(MoodyToken.Mood(i));
            _notPaid(COIN, address(moody));
            _notPaid(address(token_), STRANGER);
        }
        uint256[2] memory words = [uint256(0), 2];
        for (uint256 i = 0; i < 2; ++i) {
            answering.answerWith(words[i]);
            _notPaid(address(answering), STRANGER);
        }
        CHEATS.etch(address(token_), "");
        _notPaid(address(token_), STRANGER);
    }

    function _depositToken(PlainToken plain) private {
        plain.mint(CLIENT, 70);
        CHEATS.prank(CLIENT);
        plain.approve(address(escrow), 70);
        CHEATS.prank(CLIENT);
        escrow.deposit(address(plain), CLIENT, 70);
    }

    function _notPaid(address of_, address to) private {
        bytes memory data = abi.encodeCall(escrow.withdraw, (of_, 70, to));
        CHEATS.prank(CLIENT);
        (bool done, bytes memory why) = address(escrow).call{gas: 500_000}(data);
        require(!done, "counted");
        _equal(bytes32(bytes4(why)), bytes32(IErrors.PaymentFailed.selector), "failed for another reason");
        _equal(escrow.balanceOf(of_, CLIENT), 70, "balance");
    }

    /// @dev Wants a tip recorded that did not arrive, by an advisor who does not take it or sends it on in the same
    /// moment. It reverts whole and the tipper keeps it; an advisor who sends tips on by a hook gets none in such a
    /// token.
    function test_a_tip_that_is_not_taken_or_sent_on_at_once_is_not_recorded() external {
        MoodyRecipient moody = new MoodyRecipient();
        for (uint256 i = 1; i <= 3; ++i) {
            moody.become(MoodyRecipient.Mood(i));
            CHEATS.prank(CLIENT);
            try jar.tip{value: 70, gas: 500_000}(address(moody), "", COIN, 70, "") {
                revert("recorded");
            } catch (bytes memory why) {
                _equal(bytes32(bytes4(why)), bytes32(IErrors.PaymentFailed.selector), "failed for another reason");
            }
        }
        HookUSD hooks = new HookUSD();
        HookedAccount advisor = new HookedAccount();
        hooks.hook(address(advisor), true);
        hooks.mint(CLIENT, 70);
        CHEATS.prank(CLIENT);
        hooks.approve(address(jar), 70);
        advisor.onSend(address(hooks), abi.encodeCall(hooks.transfer, (STRANGER, 70)), true);
        bytes memory tip = abi.encodeCall(jar.tip, (address(advisor), "", address(hooks), 70, ""));
        _fails(CLIENT, address(jar), tip, IErrors.AmountNotReceived.selector);
        _equal(hooks.balanceOf(CLIENT), 70, "kept");
    }

    // ------------------------------------------------------------------ nowhere to go

    /// @dev Wants money sent where it is lost: to nobody, to the escrow. Refused. To the jar, a token, a dead address
    /// it goes if its owner says so.
    function test_nothing_is_paid_to_nobody_or_to_the_escrow() external {
        _stock(CLIENT);
        CHEATS.prank(CLIENT);
        escrow.deposit{value: 70}(COIN, CLIENT, 70);
        address[2] memory nowhere = [address(0), address(escrow)];
        bytes4 invalid = IErrors.InvalidRecipient.selector;
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory out = abi.encodeCall(escrow.withdraw, (address(token), 70, nowhere[i]));
            _fails(CLIENT, address(escrow), out, invalid);
            bytes memory coin = abi.encodeCall(escrow.withdraw, (COIN, 70, nowhere[i]));
            _fails(CLIENT, address(escrow), coin, invalid);
            bytes memory in_ = abi.encodeCall(escrow.deposit, (address(token), nowhere[i], 70));
            _fails(CLIENT, address(escrow), in_, invalid);
        }
        bytes memory toJar = abi.encodeCall(escrow.withdraw, (COIN, 70, address(jar)));
        _fails(CLIENT, address(escrow), toJar, IErrors.PaymentFailed.selector); // it takes no coin
    }

    function _tokenSession(PlainToken plain) private returns (Terms memory t) {
        t = _interactions();
        t.token = address(plain);
        plain.mint(CLIENT, DEPOSIT);
        CHEATS.prank(CLIENT);
        plain.approve(address(escrow), DEPOSIT);
        _open(t, DEPOSIT);
    }
}
