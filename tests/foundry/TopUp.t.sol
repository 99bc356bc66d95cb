// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {ISessionEscrow} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../contracts/libraries/Tokens.sol";
import {Base, Terms} from "./Base.sol";
import {AnsweringToken} from "./mocks/Tokens.sol";

/// @dev A top-up names the new whole deposit, so that none counts twice.
contract TopUpTest is Base {
    uint80 private constant MORE = 50e6; // 50 tUSD

    function test_the_payer_tops_up_from_their_wallet() external {
        Terms memory t = _sponsored();
        _open(t, DEPOSIT);
        uint256 before = token.balanceOf(SPONSOR);
        _expectEvent();
        emit ISessionEscrow.ToppedUp(_idOf(t), MORE, false);
        CHEATS.prank(SPONSOR);
        escrow.topUp(_pack(t), MORE);
        _equal(token.balanceOf(SPONSOR), before - (MORE - DEPOSIT), "paid");
        _equal(_session(t).deposit, MORE, "deposit");
    }

    function test_the_payer_tops_up_with_coin() external {
        Terms memory t = _terms();
        t.token = COIN;
        _open(t, DEPOSIT);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongValue.selector, MORE - DEPOSIT, MORE));
        CHEATS.prank(CLIENT);
        escrow.topUp{value: MORE}(_pack(t), MORE);
        CHEATS.prank(CLIENT);
        escrow.topUp{value: MORE - DEPOSIT}(_pack(t), MORE);
        _equal(address(escrow).balance, MORE, "arrived");
        _equal(_session(t).deposit, MORE, "deposit");
    }

    function test_anyone_tops_up_by_eip3009_with_a_nonce_of_the_id_and_the_new_deposit() external {
        Terms memory t = _sponsored();
        _open(t, DEPOSIT);
        bytes32 nonce = keccak256(abi.encode(_idOf(t), MORE));
        Authorization memory a = _authorize(SPONSOR_KEY, address(escrow), MORE - DEPOSIT, nonce);
        _expectEvent();
        emit ISessionEscrow.ToppedUp(_idOf(t), MORE, false);
        CHEATS.prank(RELAYER);
        escrow.topUpWithAuthorization(_pack(t), MORE, a);
        require(token.authorizationState(SPONSOR, nonce), "the nonce");
        _equal(_session(t).deposit, MORE, "deposit");
        _equal(token.balanceOf(address(escrow)), MORE, "arrived");
    }

    function test_the_payer_or_anyone_by_their_signature_tops_up_from_the_balance() external {
        Terms memory t = _sponsored();
        _openFromBalance(t, DEPOSIT);
        bytes memory signature = _signBy(SPONSOR, _topUpHash(t, MORE));
        _expectEvent();
        emit ISessionEscrow.ToppedUp(_idOf(t), MORE, true);
        CHEATS.prank(RELAYER);
        escrow.topUpFromBalance(_pack(t), MORE, signature);
        _equal(escrow.balanceOf(address(token), SPONSOR), 10_000e6 - MORE, "balance");
        CHEATS.prank(SPONSOR);
        escrow.topUpFromBalance(_pack(t), MORE + 1, "");
        _equal(_session(t).deposit, MORE + 1, "deposit");
    }

    // ------------------------------------------------------------------ refusals

    function test_only_the_payer_tops_up() external {
        Terms memory t = _sponsored();
        _openFromBalance(t, DEPOSIT);
        CHEATS.expectRevert(_missing(SPONSOR));
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), MORE);
        CHEATS.expectRevert(_missing(SPONSOR));
        CHEATS.prank(CLIENT);
        escrow.topUpFromBalance(_pack(t), MORE, "");
        bytes memory signature = _signBy(CLIENT, _topUpHash(t, MORE));
        CHEATS.expectRevert(_wrong(SPONSOR, CLIENT));
        escrow.topUpFromBalance(_pack(t), MORE, signature);
        bytes32 nonce = keccak256(abi.encode(_idOf(t), MORE));
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), MORE - DEPOSIT, nonce);
        a.signature = _sign(CLIENT_KEY, _receiveDigest(SPONSOR, address(escrow), MORE - DEPOSIT, a, nonce));
        CHEATS.expectRevert(_wrong(SPONSOR, CLIENT));
        escrow.topUpWithAuthorization(_pack(t), MORE, a);
        a.signature = "";
        CHEATS.expectRevert(_missing(SPONSOR));
        escrow.topUpWithAuthorization(_pack(t), MORE, a);
        _equal(_session(t).deposit, DEPOSIT, "deposit");
    }

    function test_ESC2_a_deposit_is_only_ever_raised() external {
        Terms memory t = _terms();
        _openFromBalance(t, DEPOSIT);
        for (uint80 i = 0; i < 2; ++i) {
            uint80 given = DEPOSIT - i;
            bytes memory why = abi.encodeWithSelector(IErrors.DepositNotRaised.selector, DEPOSIT, given);
            CHEATS.expectRevert(why);
            CHEATS.prank(CLIENT);
            escrow.topUp(_pack(t), given);
            CHEATS.expectRevert(why);
            CHEATS.prank(CLIENT);
            escrow.topUpFromBalance(_pack(t), given, "");
            Authorization memory a = _authorize(CLIENT_KEY, address(escrow), 0, "");
            CHEATS.expectRevert(why);
            escrow.topUpWithAuthorization(_pack(t), given, a);
        }
    }

    function test_ESC14_a_top_up_signature_counts_once() external {
        Terms memory t = _terms();
        _openFromBalance(t, DEPOSIT);
        bytes memory signature = _signBy(CLIENT, _topUpHash(t, MORE));
        escrow.topUpFromBalance(_pack(t), MORE, signature);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.DepositNotRaised.selector, MORE, MORE));
        escrow.topUpFromBalance(_pack(t), MORE, signature);
    }

    function test_a_top_up_signature_is_for_its_deposit_alone() external {
        Terms memory t = _terms();
        _openFromBalance(t, DEPOSIT);
        bytes memory signature = _signBy(CLIENT, _topUpHash(t, MORE));
        try escrow.topUpFromBalance(_pack(t), MORE + 1, signature) {
            revert("topped up");
        } catch (bytes memory why) {
            require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
        }
    }

    function test_ESC14_an_authorization_tops_up_only_what_it_was_signed_for() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        Terms memory other = _terms();
        other.salt = 8;
        _open(other, DEPOSIT);
        bytes32 nonce = keccak256(abi.encode(_idOf(t), MORE));
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), MORE - DEPOSIT, nonce);
        _refusesAnySigner(other, MORE, a); // another session's nonce
        _refusesAnySigner(t, MORE + 1, a); // another amount
        escrow.topUpWithAuthorization(_pack(t), MORE, a);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.DepositNotRaised.selector, MORE, MORE));
        escrow.topUpWithAuthorization(_pack(t), MORE, a);
    }

    function test_an_authorization_for_the_difference_is_worthless_after_another_top_up() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        bytes32 nonce = keccak256(abi.encode(_idOf(t), MORE));
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), MORE - DEPOSIT, nonce);
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), DEPOSIT + 1); // the difference is another now
        _refusesAnySigner(t, MORE, a);
        _equal(_session(t).deposit, DEPOSIT + 1, "deposit");
    }

    function _refusesAnySigner(Terms memory t, uint80 newDeposit, Authorization memory a) private {
        try escrow.topUpWithAuthorization(_pack(t), newDeposit, a) {
            revert("topped up");
        } catch (bytes memory why) {
            require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
        }
    }

    function test_coin_that_comes_along_with_a_top_up_in_tokens_is_refused() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongValue.selector, 0, 1));
        CHEATS.prank(CLIENT);
        escrow.topUp{value: 1}(_pack(t), MORE);
    }

    function test_ESC13_a_token_that_has_turned_bad_tops_nothing_up() external {
        AnsweringToken turned = new AnsweringToken();
        turned.mint(CLIENT, MORE);
        CHEATS.prank(CLIENT);
        turned.approve(address(escrow), MORE);
        Terms memory t = _terms();
        t.token = address(turned);
        _open(t, DEPOSIT);
        turned.answerWith(0);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(turned)));
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), MORE);
        _equal(_session(t).deposit, DEPOSIT, "deposit");
    }

    function test_coin_has_no_authorizations_to_top_up_with() external {
        Terms memory t = _terms();
        t.token = COIN;
        _open(t, DEPOSIT);
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), MORE - DEPOSIT, "");
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenWithoutCode.selector, COIN));
        escrow.topUpWithAuthorization(_pack(t), MORE, a);
    }

    function test_a_balance_that_is_too_small_tops_nothing_up() external {
        Terms memory t = _terms();
        _openFromBalance(t, DEPOSIT);
        uint80 given = 10_000e6 + 1;
        CHEATS.expectRevert(
            abi.encodeWithSelector(
                IErrors.BalanceTooSmall.selector, CLIENT, given - DEPOSIT, uint256(10_000e6) - DEPOSIT
            )
        );
        CHEATS.prank(CLIENT);
        escrow.topUpFromBalance(_pack(t), given, "");
        CHEATS.prank(CLIENT);
        escrow.topUpFromBalance(_pack(t), given - 1, "");
        _equal(escrow.balanceOf(address(token), CLIENT), 0, "balance");
    }

    function test_a_session_that_closes_or_is_closed_or_never_was_takes_no_top_up() external {
        Terms memory t = _terms();
        _stock(CLIENT);
        _noTopUp(t, _notOpen(t));
        _open(t, DEPOSIT);
        _leave(t);
        _noTopUp(t, abi.encodeWithSelector(IErrors.AlreadyClosing.selector, _idOf(t), time));
        _close(t, 0);
        _noTopUp(t, _notOpen(t));
        t.salt = 8;
        CHEATS.prank(ADVISOR);
        escrow.revoke(_pack(t), ADVISOR, "");
        _noTopUp(t, _notOpen(t));
    }

    // ------------------------------------------------------------------ what it means

    function test_a_voucher_beyond_the_old_deposit_is_worth_more_after_a_top_up() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        _settle(t, 40); // 40.50, of which 30 is funded
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), MORE);
        _settle(t, 40);
        _equal(_session(t).earned, 40_500_000, "earned");
    }

    function test_the_whole_deposit_returns_to_where_the_session_was_opened_from() external {
        _stock(CLIENT);
        Terms memory t = _interactions();
        _open(t, DEPOSIT); // from the wallet, topped up from the balance
        CHEATS.prank(CLIENT);
        escrow.topUpFromBalance(_pack(t), MORE, "");
        uint256 before = token.balanceOf(CLIENT);
        _close(t, 0);
        _equal(token.balanceOf(CLIENT), before + MORE, "to the wallet");

        t.salt = 8;
        _openFromBalance(t, DEPOSIT); // from the balance, topped up from the wallet
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), MORE);
        uint256 balance = escrow.balanceOf(address(token), CLIENT);
        _close(t, 0);
        _equal(escrow.balanceOf(address(token), CLIENT), balance + MORE, "to the balance");
    }

    function test_a_deposit_is_raised_to_the_most_that_fits() external {
        Terms memory t = _terms();
        token.mint(CLIENT, type(uint80).max);
        _open(t, DEPOSIT);
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), type(uint80).max);
        _equal(_session(t).deposit, type(uint80).max, "deposit");
        _equal(_session(t).openedAt, time, "the rest of the slot");
    }

    function _noTopUp(Terms memory t, bytes memory why) private {
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.topUp(_pack(t), MORE);
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.topUpFromBalance(_pack(t), MORE, "");
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), MORE - DEPOSIT, "");
        CHEATS.expectRevert(why);
        escrow.topUpWithAuthorization(_pack(t), MORE, a);
    }
}
