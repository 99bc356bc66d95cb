// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {ISessionEscrow} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../contracts/libraries/Tokens.sol";
import {Base} from "./Base.sol";
import {MoodyRecipient} from "./mocks/Wallets.sol";

/// @dev Deposits and withdrawals. What strange tokens do on the way in: Arrivals.t.sol.
contract LedgerTest is Base {
    uint256 private constant AMOUNT = 40e6; // 40 tUSD
    bytes32 private constant SALT = keccak256("salt");

    // ------------------------------------------------------------------ in

    function test_anyone_deposits_tokens_for_anyone() external {
        _expectEvent();
        emit ISessionEscrow.Deposited(address(token), STRANGER, CLIENT, AMOUNT);
        CHEATS.prank(CLIENT);
        escrow.deposit(address(token), STRANGER, AMOUNT);
        _equal(escrow.balanceOf(address(token), STRANGER), AMOUNT, "balance");
        _equal(token.balanceOf(address(escrow)), AMOUNT, "arrived");
        CHEATS.prank(SPONSOR);
        escrow.deposit(address(token), STRANGER, 1);
        _equal(escrow.balanceOf(address(token), STRANGER), AMOUNT + 1, "balances add up");
    }

    function test_coin_is_deposited_as_value() external {
        _expectEvent();
        emit ISessionEscrow.Deposited(COIN, CLIENT, CLIENT, AMOUNT);
        CHEATS.prank(CLIENT);
        escrow.deposit{value: AMOUNT}(COIN, CLIENT, AMOUNT);
        _equal(escrow.balanceOf(COIN, CLIENT), AMOUNT, "balance");
        _equal(escrow.balanceOf(address(token), CLIENT), 0, "no other token's");
    }

    function test_value_that_is_not_the_amount_is_refused() external {
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongValue.selector, AMOUNT, AMOUNT + 1));
        CHEATS.prank(CLIENT);
        escrow.deposit{value: AMOUNT + 1}(COIN, CLIENT, AMOUNT);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongValue.selector, AMOUNT, 0));
        CHEATS.prank(CLIENT);
        escrow.deposit(COIN, CLIENT, AMOUNT);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongValue.selector, 0, AMOUNT));
        CHEATS.prank(CLIENT);
        escrow.deposit{value: AMOUNT}(address(token), CLIENT, AMOUNT);
    }

    function test_coin_that_is_simply_sent_is_refused() external {
        CHEATS.prank(CLIENT);
        (bool done,) = address(escrow).call{value: 1}("");
        require(!done, "taken");
    }

    function test_deposits_of_nothing_or_for_nobody_are_refused() external {
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.ZeroAmount.selector));
        escrow.deposit(address(token), CLIENT, 0);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.InvalidRecipient.selector, address(0)));
        escrow.deposit(address(token), address(0), AMOUNT);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.InvalidRecipient.selector, address(escrow)));
        escrow.deposit(address(token), address(escrow), AMOUNT);
        Authorization memory a;
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.ZeroAmount.selector));
        escrow.depositWithAuthorization(address(token), CLIENT, 0, SALT, a);
    }

    function test_anyone_sends_a_deposit_by_eip3009_whose_nonce_binds_token_account_and_salt() external {
        bytes32 nonce = keccak256(abi.encode(keccak256("Deposit"), address(token), CLIENT, SALT));
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), AMOUNT, nonce);
        _expectEvent();
        emit ISessionEscrow.Deposited(address(token), CLIENT, CLIENT, AMOUNT);
        CHEATS.prank(RELAYER);
        escrow.depositWithAuthorization(address(token), CLIENT, AMOUNT, SALT, a);
        _equal(escrow.balanceOf(address(token), CLIENT), AMOUNT, "balance");
        require(token.authorizationState(CLIENT, nonce), "the nonce");

        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(token)));
        escrow.depositWithAuthorization(address(token), CLIENT, AMOUNT, SALT, a); // the token has spent it
    }

    function test_an_authorization_of_somebody_else_deposits_nothing() external {
        bytes32 nonce = keccak256(abi.encode(keccak256("Deposit"), address(token), CLIENT, SALT));
        Authorization memory a;
        (a.validAfter, a.validBefore) = (time - 1, time + 1);
        a.signature = _sign(STRANGER_KEY, _receiveDigest(CLIENT, address(escrow), AMOUNT, a, nonce));
        CHEATS.expectRevert(_wrong(CLIENT, STRANGER));
        escrow.depositWithAuthorization(address(token), CLIENT, AMOUNT, SALT, a);
    }

    function test_ESC14_an_authorization_deposits_only_what_it_was_signed_for() external {
        bytes32 nonce = keccak256(abi.encode(keccak256("Deposit"), address(token), CLIENT, SALT));
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), AMOUNT, nonce);
        for (uint256 i = 0; i < 5; ++i) {
            if (i == 3) a.validAfter -= 1;
            if (i == 4) (a.validAfter, a.validBefore) = (a.validAfter + 1, a.validBefore + 1);
            address account = i == 0 ? SPONSOR : CLIENT;
            uint256 amount = i == 1 ? AMOUNT + 1 : AMOUNT;
            bytes32 salt = i == 2 ? bytes32(0) : SALT;
            try escrow.depositWithAuthorization(address(token), account, amount, salt, a) {
                revert("deposited");
            } catch (bytes memory why) {
                require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
            }
        }
    }

    function test_nobody_and_the_escrow_itself_deposit_nothing_by_authorization() external {
        Authorization memory a;
        (a.validAfter, a.validBefore, a.signature) = (time - 1, time + 1, new bytes(65));
        CHEATS.expectRevert(_wrong(address(0), address(0)));
        escrow.depositWithAuthorization(address(token), address(0), AMOUNT, SALT, a);
        token.mint(address(escrow), AMOUNT);
        CHEATS.expectRevert(_wrong(address(escrow), address(0)));
        escrow.depositWithAuthorization(address(token), address(escrow), AMOUNT, SALT, a);
    }

    function test_coin_is_not_deposited_by_authorization() external {
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), AMOUNT, "");
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenWithoutCode.selector, COIN));
        escrow.depositWithAuthorization(COIN, CLIENT, AMOUNT, SALT, a);
    }

    // ------------------------------------------------------------------ out

    function test_the_owner_withdraws_to_anywhere_at_any_time() external {
        _stock(CLIENT);
        _expectEvent();
        emit ISessionEscrow.Withdrawn(address(token), CLIENT, STRANGER, AMOUNT);
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(token), AMOUNT, STRANGER);
        _equal(token.balanceOf(STRANGER), AMOUNT, "paid");
        _equal(escrow.balanceOf(address(token), CLIENT), 10_000e6 - AMOUNT, "balance");
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(token), 10_000e6 - AMOUNT, STRANGER);
        _equal(token.balanceOf(address(escrow)), 0, "to the last unit");
    }

    function test_coin_is_withdrawn() external {
        CHEATS.prank(CLIENT);
        escrow.deposit{value: AMOUNT}(COIN, CLIENT, AMOUNT);
        CHEATS.prank(CLIENT);
        escrow.withdraw(COIN, AMOUNT, STRANGER);
        _equal(STRANGER.balance, AMOUNT, "paid");
    }

    function test_no_more_is_withdrawn_than_there_is() external {
        _stock(CLIENT);
        _stock(SPONSOR);
        uint256 whole = 10_000e6;
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.BalanceTooSmall.selector, CLIENT, whole + 1, whole));
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(token), whole + 1, CLIENT);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.BalanceTooSmall.selector, STRANGER, 1, 0));
        CHEATS.prank(STRANGER);
        escrow.withdraw(address(token), 1, STRANGER);
    }

    function test_withdrawals_of_nothing_or_to_nobody_are_refused() external {
        _stock(CLIENT);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.ZeroAmount.selector));
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(token), 0, CLIENT);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.InvalidRecipient.selector, address(0)));
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(token), 1, address(0));
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.InvalidRecipient.selector, address(escrow)));
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(token), 1, address(escrow));
    }

    function test_a_recipient_who_does_not_take_the_payment_loses_nothing() external {
        MoodyRecipient moody = new MoodyRecipient();
        CHEATS.prank(CLIENT);
        escrow.deposit{value: AMOUNT}(COIN, address(moody), AMOUNT);
        moody.become(MoodyRecipient.Mood.Reverts);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.PaymentFailed.selector, COIN, address(moody), AMOUNT));
        CHEATS.prank(address(moody));
        escrow.withdraw(COIN, AMOUNT, address(moody));
        _equal(escrow.balanceOf(COIN, address(moody)), AMOUNT, "balance");
        CHEATS.prank(address(moody));
        escrow.withdraw(COIN, AMOUNT, STRANGER);
        _equal(STRANGER.balance, AMOUNT, "paid elsewhere");
    }

    function test_a_recipient_who_calls_back_withdraws_nothing_twice() external {
        MoodyRecipient moody = new MoodyRecipient();
        CHEATS.prank(CLIENT);
        escrow.deposit{value: AMOUNT}(COIN, address(moody), AMOUNT);
        CHEATS.prank(CLIENT);
        escrow.deposit{value: AMOUNT}(COIN, CLIENT, AMOUNT);
        moody.callBack(address(escrow), abi.encodeCall(escrow.withdraw, (COIN, AMOUNT, address(moody))));
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.PaymentFailed.selector, COIN, address(moody), AMOUNT));
        CHEATS.prank(address(moody));
        escrow.withdraw(COIN, AMOUNT, address(moody));
        moody.callBack(address(escrow), abi.encodeCall(escrow.withdraw, (COIN, AMOUNT / 2, address(moody))));
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.PaymentFailed.selector, COIN, address(moody), AMOUNT / 2));
        CHEATS.prank(address(moody)); // once more within: three halves
        escrow.withdraw(COIN, AMOUNT / 2, address(moody));
        _equal(address(escrow).balance, 2 * AMOUNT, "nothing left");
    }

    // ------------------------------------------------------------------ out, by signature

    function test_anyone_sends_a_withdrawal_by_signature() external {
        _stock(CLIENT);
        bytes memory signature = _withdrawal(CLIENT_KEY, CLIENT, AMOUNT, STRANGER, 0, time);
        _expectEvent();
        emit ISessionEscrow.Withdrawn(address(token), CLIENT, STRANGER, AMOUNT);
        CHEATS.prank(RELAYER);
        escrow.withdrawFor(CLIENT, address(token), AMOUNT, STRANGER, 0, time, signature);
        _equal(token.balanceOf(STRANGER), AMOUNT, "paid");
        _equal(escrow.nonces(CLIENT), 1, "nonce");
    }

    function test_ESC14_a_withdrawal_signature_counts_once_and_in_order() external {
        _stock(CLIENT);
        bytes memory first = _withdrawal(CLIENT_KEY, CLIENT, AMOUNT, STRANGER, 0, time);
        bytes memory second = _withdrawal(CLIENT_KEY, CLIENT, AMOUNT, STRANGER, 1, time);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongNonce.selector, 0, 1));
        escrow.withdrawFor(CLIENT, address(token), AMOUNT, STRANGER, 1, time, second);
        escrow.withdrawFor(CLIENT, address(token), AMOUNT, STRANGER, 0, time, first);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongNonce.selector, 1, 0));
        escrow.withdrawFor(CLIENT, address(token), AMOUNT, STRANGER, 0, time, first);
        escrow.withdrawFor(CLIENT, address(token), AMOUNT, STRANGER, 1, time, second);
        _equal(token.balanceOf(STRANGER), 2 * AMOUNT, "paid");
    }

    function test_a_withdrawal_signature_holds_until_its_deadline_inclusively() external {
        _stock(CLIENT);
        uint256 deadline = time + 10;
        bytes memory signature = _withdrawal(CLIENT_KEY, CLIENT, AMOUNT, STRANGER, 0, deadline);
        _at(deadline + 1);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.SignatureExpired.selector, deadline, deadline + 1));
        escrow.withdrawFor(CLIENT, address(token), AMOUNT, STRANGER, 0, deadline, signature);
        _at(deadline);
        escrow.withdrawFor(CLIENT, address(token), AMOUNT, STRANGER, 0, deadline, signature);
        _equal(token.balanceOf(STRANGER), AMOUNT, "paid");
    }

    function test_a_withdrawal_that_its_account_did_not_sign_is_refused() external {
        _stock(CLIENT);
        CHEATS.expectRevert(_missing(CLIENT));
        CHEATS.prank(CLIENT); // who could simply withdraw
        escrow.withdrawFor(CLIENT, address(token), AMOUNT, STRANGER, 0, time, "");
        bytes memory signature = _withdrawal(STRANGER_KEY, CLIENT, AMOUNT, STRANGER, 0, time);
        CHEATS.expectRevert(_wrong(CLIENT, STRANGER));
        escrow.withdrawFor(CLIENT, address(token), AMOUNT, STRANGER, 0, time, signature);
    }

    function test_ESC14_every_field_of_a_withdrawal_is_signed() external {
        _stock(CLIENT);
        _stock(SPONSOR);
        bytes memory signature = _withdrawal(CLIENT_KEY, CLIENT, AMOUNT, STRANGER, 0, time);
        for (uint256 i = 0; i < 5; ++i) {
            address account = i == 0 ? SPONSOR : CLIENT;
            address of_ = i == 1 ? COIN : address(token);
            uint256 amount = i == 2 ? AMOUNT + 1 : AMOUNT;
            address to = i == 3 ? RELAYER : STRANGER;
            uint256 deadline = i == 4 ? time + 1 : time;
            try escrow.withdrawFor(account, of_, amount, to, 0, deadline, signature) {
                revert("withdrawn");
            } catch (bytes memory why) {
                require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
            }
        }
    }

    function test_a_signed_withdrawal_that_fails_keeps_its_number() external {
        _stock(CLIENT);
        uint256 whole = 10_000e6;
        MoodyRecipient moody = new MoodyRecipient();
        _failsFor(0, STRANGER, abi.encodeWithSelector(IErrors.ZeroAmount.selector));
        _failsFor(AMOUNT, address(0), abi.encodeWithSelector(IErrors.InvalidRecipient.selector, address(0)));
        _failsFor(AMOUNT, address(escrow), abi.encodeWithSelector(IErrors.InvalidRecipient.selector, address(escrow)));
        _failsFor(
            whole + 1, STRANGER, abi.encodeWithSelector(IErrors.BalanceTooSmall.selector, CLIENT, whole + 1, whole)
        );
        CHEATS.prank(CLIENT);
        escrow.deposit{value: AMOUNT}(COIN, CLIENT, AMOUNT);
        moody.become(MoodyRecipient.Mood.Reverts);
        bytes memory signature = _signBy(
            CLIENT,
            keccak256(abi.encode(_type(WITHDRAWAL_TYPE), CLIENT, COIN, AMOUNT, address(moody), uint256(0), time))
        );
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.PaymentFailed.selector, COIN, address(moody), AMOUNT));
        escrow.withdrawFor(CLIENT, COIN, AMOUNT, address(moody), 0, time, signature);
        _equal(escrow.nonces(CLIENT), 0, "nonce");
        moody.become(MoodyRecipient.Mood.Fine); // the same signature pays later
        escrow.withdrawFor(CLIENT, COIN, AMOUNT, address(moody), 0, time, signature);
        _equal(address(moody).balance, AMOUNT, "paid");
        _equal(escrow.nonces(CLIENT), 1, "nonce");
        _equal(escrow.nonces(SPONSOR), 0, "another's nonce");
    }

    function _failsFor(uint256 amount, address to, bytes memory why) private {
        bytes memory signature = _withdrawal(CLIENT_KEY, CLIENT, amount, to, 0, time);
        CHEATS.expectRevert(why);
        escrow.withdrawFor(CLIENT, address(token), amount, to, 0, time, signature);
    }

    function test_nobody_withdraws_for_the_zero_address() external {
        // An invalid signature recovers to zero; fees of nobody must not be there for the taking.
        bytes memory nonsense = new bytes(65);
        CHEATS.expectRevert(_wrong(address(0), address(0)));
        escrow.withdrawFor(address(0), address(token), 1, STRANGER, 0, time, nonsense);
    }

    function _withdrawal(uint256 key, address account, uint256 amount, address to, uint256 nonce, uint256 deadline)
        private
        view
        returns (bytes memory)
    {
        bytes32 message =
            keccak256(abi.encode(_type(WITHDRAWAL_TYPE), account, address(token), amount, to, nonce, deadline));
        return _sign(key, _digest(message));
    }
}
