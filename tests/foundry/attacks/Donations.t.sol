// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Terms} from "../Base.sol";
import {HookToken} from "../mocks/Tokens.sol";
import {HookedAccount} from "../mocks/Wallets.sol";
import {Attack} from "./Attack.sol";

/// @dev Somebody sends money to the contracts beside their functions: before, after, or in the middle of a payment.
contract DonationsTest is Attack {
    uint256 private constant GIFT = 777e6;

    /// @dev Wants to take, or to spoil, by giving first: a surplus that opens a session, fills a balance, or is paid
    /// out. A surplus is nobody's (ESC-1): each function counts what it moved itself.
    function test_tokens_that_were_given_to_the_escrow_are_nobodys() external {
        token.mint(address(escrow), GIFT);
        _equal(_owed(address(token)), 0, "owed");
        bytes memory out = abi.encodeCall(escrow.withdraw, (address(token), 1, STRANGER));
        _fails(STRANGER, address(escrow), out, IErrors.BalanceTooSmall.selector);
        bytes memory in_ = abi.encodeCall(escrow.deposit, (address(token), STRANGER, GIFT)); // has nothing
        _fails(STRANGER, address(escrow), in_, IErrors.TokenCallFailed.selector);
        Terms memory t = _interactions();
        _watch(t);
        _open(t, DEPOSIT);
        _booksAreRight(address(token), GIFT);
        token.mint(address(escrow), GIFT);
        _close(t, 1);
        _booksAreRight(address(token), 2 * GIFT);
    }

    /// @dev The same with coin, which nobody can refuse: a contract that destroys itself sends it.
    function test_coin_that_was_forced_upon_the_contracts_is_nobodys() external {
        Terms memory t = _interactions();
        t.token = COIN;
        _watch(t);
        _force(address(escrow), GIFT);
        _force(address(jar), GIFT);
        _open(t, DEPOSIT);
        _booksAreRight(COIN, GIFT);
        bytes memory in_ = abi.encodeCall(escrow.deposit, (COIN, STRANGER, 1)); // without value
        _fails(STRANGER, address(escrow), in_, IErrors.WrongValue.selector);
        _close(t, 1);
        _booksAreRight(COIN, GIFT);
        CHEATS.prank(CLIENT);
        jar.tip{value: 70}(ADVISOR, "", COIN, 70, "");
        bytes memory tip = abi.encodeCall(jar.tip, (STRANGER, "", COIN, 70, "")); // without value
        _fails(CLIENT, address(jar), tip, IErrors.WrongValue.selector);
        _equal(address(jar).balance, GIFT, "the jar's surplus");
    }

    /// @dev PUSH20 to, SELFDESTRUCT, run as a constructor.
    function _force(address to, uint256 amount) private {
        CHEATS.deal(address(this), amount);
        bytes memory code = abi.encodePacked(hex"73", to, hex"ff");
        assembly ("memory-safe") {
            pop(create(amount, add(code, 32), mload(code)))
        }
        require(to.balance >= amount, "not forced");
    }

    /// @dev Wants what somebody left in the jar, by a tip that brings less than it says, or more. A tip takes out
    /// exactly what came in with it.
    function test_what_was_given_to_the_jar_is_in_nobodys_tip() external {
        token.mint(address(jar), GIFT);
        bytes32 nonce =
            keccak256(abi.encode(keccak256("Tip"), address(token), ADVISOR, bytes32(0), bytes32(0), bytes32(0)));
        Authorization memory a = _authorize(CLIENT_KEY, address(jar), 70, nonce);
        bytes memory more =
            abi.encodeCall(jar.tipWithAuthorization, (CLIENT, ADVISOR, 0, address(token), GIFT, 0, 0, a));
        _fails(STRANGER, address(jar), more, IErrors.WrongSigner.selector);
        jar.tipWithAuthorization(CLIENT, ADVISOR, 0, address(token), 70, 0, 0, a);
        _equal(token.balanceOf(ADVISOR), 70, "the tip");
        _equal(token.balanceOf(address(jar)), GIFT, "the jar's surplus");
    }

    // ------------------------------------------------------------------ in the middle of a payment

    /// @dev Wants a payment to seem arrived that did not: the token eats it, and an accomplice gives as much in the
    /// same moment. It counts, for the money is there, once; somebody paid it, and the books are right.
    function test_a_gift_in_the_middle_stands_for_the_payment_and_is_counted_once() external {
        (HookToken hooks, HookedAccount payer, HookedAccount accomplice) = _eater();
        bytes memory gift = abi.encodeCall(hooks.transfer, (address(escrow), GIFT));
        payer.onSend(address(accomplice), abi.encodeCall(HookedAccount.execute, (address(hooks), gift)), true);
        CHEATS.prank(address(payer));
        escrow.deposit(address(hooks), address(payer), GIFT);
        _equal(escrow.balanceOf(address(hooks), address(payer)), GIFT, "balance");
        _booksAreRight(address(hooks), 0);
    }

    /// @dev The same by a tip "to the escrow" in the middle: the jar records it, the escrow counts it, and it is there
    /// once. A tip to a contract that nobody withdraws from is the tipper's loss in any case.
    function test_a_tip_to_the_escrow_in_the_middle_of_a_deposit_is_counted_once_in_the_books() external {
        (HookToken hooks, HookedAccount payer, HookedAccount accomplice) = _eater();
        CHEATS.prank(address(accomplice));
        hooks.approve(address(jar), GIFT);
        bytes memory tip = abi.encodeCall(jar.tip, (address(escrow), "", address(hooks), GIFT, ""));
        payer.onSend(address(accomplice), abi.encodeCall(HookedAccount.execute, (address(jar), tip)), true);
        CHEATS.prank(address(payer));
        escrow.deposit(address(hooks), address(payer), GIFT);
        _booksAreRight(address(hooks), 0);
    }

    /// @dev Wants somebody's payment to fail by giving a little in its middle. Nobody is called there but the payer and
    /// the token, so that only they can; then it fails whole.
    function test_a_gift_on_top_in_the_middle_fails_ones_own_payment() external {
        (HookToken hooks, HookedAccount payer, HookedAccount accomplice) = _eater();
        hooks.setFee(false);
        bytes memory gift = abi.encodeCall(hooks.transfer, (address(escrow), 1));
        payer.onSend(address(accomplice), abi.encodeCall(HookedAccount.execute, (address(hooks), gift)), true);
        bytes memory in_ = abi.encodeCall(escrow.deposit, (address(hooks), address(payer), GIFT));
        _fails(address(payer), address(escrow), in_, IErrors.AmountNotReceived.selector);
        _equal(hooks.balanceOf(address(payer)), GIFT, "kept");
    }

    /// @dev Wants one tip recorded twice in a token that eats the outer payment: the tip inside is what both see. It
    /// works; the jar holds nobody's money, and the log of such a token says what it is. Other tokens are not touched.
    function test_a_token_made_for_it_has_one_tip_recorded_twice() external {
        (HookToken hooks, HookedAccount payer, HookedAccount accomplice) = _eater();
        CHEATS.prank(address(payer));
        hooks.approve(address(jar), GIFT);
        CHEATS.prank(address(accomplice));
        hooks.approve(address(jar), GIFT);
        bytes memory tip = abi.encodeCall(jar.tip, (ADVISOR, "", address(hooks), GIFT, ""));
        payer.onSend(address(accomplice), abi.encodeCall(HookedAccount.execute, (address(jar), tip)), true);
        CHEATS.prank(address(payer));
        jar.tip(ADVISOR, "", address(hooks), GIFT, "");
        _equal(hooks.balanceOf(ADVISOR), GIFT, "one tip arrived");
        _equal(hooks.balanceOf(address(jar)), 0, "kept by the jar");
    }

    /// @dev A token that eats what everybody but the accomplice sends, and calls the payer before.
    function _eater() private returns (HookToken hooks, HookedAccount payer, HookedAccount accomplice) {
        hooks = new HookToken();
        (payer, accomplice) = (new HookedAccount(), new HookedAccount());
        hooks.mint(address(payer), GIFT);
        hooks.mint(address(accomplice), GIFT);
        hooks.setFee(true);
        hooks.setExempt(address(accomplice));
        CHEATS.prank(address(payer));
        hooks.hook(true);
        CHEATS.prank(address(payer));
        hooks.approve(address(escrow), GIFT);
        people.push(address(payer));
    }
}
