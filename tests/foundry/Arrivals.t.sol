// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {ISessionEscrow, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../contracts/libraries/Tokens.sol";
import {Base, Terms} from "./Base.sol";
import {
    AnsweringToken,
    FeeToken,
    HookToken,
    MadeUpToken,
    NoReturnToken,
    OneAnswer,
    PlainToken,
    SilentAuthorizations,
    SwallowingToken
} from "./mocks/Tokens.sol";
import {HookedAccount} from "./mocks/Wallets.sol";

/// @dev ESC-13: every way in checks that the tokens really arrived, exactly.
contract ArrivalsTest is Base {
    uint256 private constant AMOUNT = 40e6;

    // ------------------------------------------------------------------ strange tokens

    function test_ESC13_a_token_that_keeps_a_fee_is_refused_by_every_way_in() external {
        FeeToken fee = new FeeToken();
        bytes memory why = abi.encodeWithSelector(
            IErrors.AmountNotReceived.selector, address(fee), uint256(DEPOSIT), uint256(DEPOSIT) - DEPOSIT / 100
        );
        _refusesIn(address(fee), why);
    }

    function test_ESC13_a_token_without_code_is_refused() external {
        address nothing = address(0xC0DE1E55);
        bytes memory why = abi.encodeWithSelector(IErrors.TokenWithoutCode.selector, nothing);
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.deposit(nothing, CLIENT, DEPOSIT);
        Terms memory t = _terms();
        t.token = nothing;
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.open(_pack(t), DEPOSIT, quote, "");
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, "");
        CHEATS.expectRevert(why);
        escrow.depositWithAuthorization(nothing, CLIENT, DEPOSIT, "", a);
    }

    function test_ESC13_a_contract_that_is_no_token_is_refused() external {
        bytes memory why = abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(this));
        CHEATS.expectRevert(why);
        escrow.deposit(address(this), CLIENT, DEPOSIT);
    }

    function test_ESC13_a_token_that_answers_anything_but_true_is_refused() external {
        AnsweringToken answering = new AnsweringToken();
        uint256[3] memory words = [0, 2, type(uint256).max];
        for (uint256 i = 0; i < 3; ++i) {
            answering.answerWith(words[i]);
            _refusesIn(address(answering), abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(answering)));
        }
    }

    function test_ESC13_a_token_that_answers_less_than_a_word_is_refused_and_more_is_fine() external {
        // Asking for the balance may leave its one where the answer goes: a few zeros before it would look true.
        AnsweringToken answering = new AnsweringToken();
        answering.mint(address(escrow), 1);
        uint256[3] memory less = [uint256(1), 4, 31];
        for (uint256 i = 0; i < 3; ++i) {
            answering.answerIn(less[i]);
            _refusesIn(address(answering), abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(answering)));
        }
        uint256[3] memory enough = [uint256(32), 33, 64];
        for (uint256 i = 0; i < 3; ++i) {
            answering.answerIn(enough[i]);
            CHEATS.prank(CLIENT);
            escrow.deposit(address(answering), CLIENT, DEPOSIT);
            CHEATS.prank(CLIENT);
            escrow.withdraw(address(answering), DEPOSIT, STRANGER);
        }
        _equal(answering.balanceOf(STRANGER), 3 * uint256(DEPOSIT), "there and out again");
    }

    function test_ESC13_a_balance_told_in_less_than_a_word_is_no_balance() external {
        OneAnswer short = new OneAnswer(31); // and says true to everything else
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(short)));
        escrow.deposit(address(short), CLIENT, DEPOSIT);
        OneAnswer whole = new OneAnswer(32); // whose balance stays one, whatever is moved
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.AmountNotReceived.selector, address(whole), DEPOSIT, 0));
        escrow.deposit(address(whole), CLIENT, DEPOSIT);
    }

    function test_a_token_that_answers_nothing_is_fine() external {
        NoReturnToken old = new NoReturnToken();
        old.mint(CLIENT, 2 * uint256(DEPOSIT));
        CHEATS.prank(CLIENT);
        escrow.deposit(address(old), CLIENT, DEPOSIT);
        Terms memory t = _interactions();
        t.token = address(old);
        _open(t, DEPOSIT);
        _close(t, 1);
        _equal(old.balanceOf(CLIENT), DEPOSIT - 1_500_000, "refund to the wallet");
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(old), DEPOSIT, STRANGER);
        _equal(old.balanceOf(STRANGER), DEPOSIT, "paid");
    }

    function test_ESC13_a_token_that_swallows_unknown_calls_has_no_authorizations() external {
        SwallowingToken weth = new SwallowingToken();
        weth.mint(CLIENT, AMOUNT);
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, "");
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(weth)));
        escrow.depositWithAuthorization(address(weth), CLIENT, DEPOSIT, "", a); // it answers no separator
    }

    function test_ESC13_an_authorization_that_moves_nothing_is_refused() external {
        SilentAuthorizations silent = new SilentAuthorizations();
        Authorization memory a = _authorizeAt(address(silent), silent.DOMAIN_SEPARATOR(), "salt");
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.AmountNotReceived.selector, address(silent), DEPOSIT, 0));
        escrow.depositWithAuthorization(address(silent), CLIENT, DEPOSIT, "salt", a);
    }

    function test_ESC11_a_made_up_token_names_nobody_who_signed_nothing() external {
        MadeUpToken madeUp = new MadeUpToken();
        Authorization memory a;
        (a.validAfter, a.validBefore) = (time - 1, time + 1);
        CHEATS.expectRevert(_missing(CLIENT));
        escrow.depositWithAuthorization(address(madeUp), CLIENT, DEPOSIT, "salt", a);
        Terms memory t = _terms();
        t.token = address(madeUp);
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        bytes32 digest = _authorizationOf(madeUp.DOMAIN_SEPARATOR(), DEPOSIT, _idOf(t));
        a.signature = _sign(STRANGER_KEY, digest);
        CHEATS.expectRevert(_wrong(CLIENT, STRANGER));
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, "");
    }

    function test_ESC11_an_authorization_of_real_money_opens_no_session_in_a_made_up_token() external {
        // The made-up token takes the real token's separator, so that its digest is the real one's.
        MadeUpToken madeUp = new MadeUpToken();
        madeUp.pretend(token.DOMAIN_SEPARATOR());
        Terms memory real = _terms();
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(real));
        Terms memory t = _terms();
        t.token = address(madeUp);
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        try escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, "") returns (bytes32) {
            revert("opened");
        } catch (bytes memory why) {
            require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
        }
    }

    function test_ESC13_an_absurd_amount_is_refused() external {
        MadeUpToken madeUp = new MadeUpToken();
        uint256 most = type(uint128).max;
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.AmountNotReceived.selector, address(madeUp), most + 1, most));
        escrow.deposit(address(madeUp), CLIENT, most + 1);
        escrow.deposit(address(madeUp), CLIENT, most);
        _equal(escrow.balanceOf(address(madeUp), CLIENT), most, "balance");
    }

    // ------------------------------------------------------------------ tokens that call back

    function test_ESC13_a_sender_hook_cannot_make_one_arrival_count_twice() external {
        // The outer deposit loses everything to the fee; the inner one of the same amount is exempt and arrives. Without
        // a guard both would see the same increase of the escrow's tokens.
        HookToken hooks = new HookToken();
        HookedAccount outer = new HookedAccount();
        HookedAccount inner = new HookedAccount();
        hooks.mint(address(outer), AMOUNT);
        hooks.mint(address(inner), AMOUNT);
        _hook(hooks, outer);
        hooks.setFee(true);
        hooks.setExempt(address(inner));
        CHEATS.prank(address(inner));
        hooks.approve(address(escrow), AMOUNT);
        bytes memory second = abi.encodeCall(escrow.deposit, (address(hooks), address(inner), AMOUNT));
        outer.onSend(address(inner), abi.encodeCall(HookedAccount.execute, (address(escrow), second)), false);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.AmountNotReceived.selector, address(hooks), AMOUNT, 0));
        CHEATS.prank(address(outer));
        escrow.deposit(address(hooks), address(outer), AMOUNT);

        // The inner one alone is refused as such.
        outer.onSend(address(inner), abi.encodeCall(HookedAccount.execute, (address(escrow), second)), false);
        hooks.setFee(false);
        CHEATS.prank(address(outer));
        escrow.deposit(address(hooks), address(outer), AMOUNT);
        require(!outer.done(), "the inner deposit counted");
        _equal(outer.answer(), abi.encodeWithSelector(IErrors.Reentered.selector), "why");
        _equal(escrow.balanceOf(address(hooks), address(inner)), 0, "inner");
        _equal(escrow.balanceOf(address(hooks), address(outer)), AMOUNT, "outer");
    }

    function test_ESC13_no_way_in_works_within_another() external {
        HookToken hooks = new HookToken();
        HookedAccount account = new HookedAccount();
        hooks.mint(address(account), 1_000e6);
        _hook(hooks, account);
        Terms memory t = _sponsored();
        (t.payer, t.token) = (address(account), address(hooks));
        _open(t, DEPOSIT);
        Terms memory next = t;
        next.salt = 8;
        bytes memory quote = _signBy(ADVISOR, _hashOf(next));
        bytes memory consent = _signBy(CLIENT, _hashOf(next));
        t = _sponsored();
        (t.payer, t.token) = (address(account), address(hooks));
        Authorization memory a;
        bytes[4] memory ways = [
            abi.encodeCall(escrow.deposit, (address(hooks), address(account), 1)),
            abi.encodeCall(escrow.open, (_pack(next), DEPOSIT, quote, consent)),
            abi.encodeCall(escrow.topUp, (_pack(t), DEPOSIT + 1)),
            abi.encodeCall(escrow.depositWithAuthorization, (address(token), CLIENT, 1, "", a))
        ];
        for (uint256 i = 0; i < 4; ++i) {
            account.onSend(address(escrow), ways[i], false);
            CHEATS.prank(address(account));
            escrow.deposit(address(hooks), address(account), AMOUNT);
            require(!account.done(), "taken");
            _equal(account.answer(), abi.encodeWithSelector(IErrors.Reentered.selector), "why");
        }
    }

    function test_ESC1_a_session_closed_in_the_middle_of_its_own_opening_pays_nothing_from_others_money() external {
        // The session is written before its money arrives; the payer's hook lets the advisor close it at that moment.
        HookToken hooks = new HookToken();
        HookedAccount payer = new HookedAccount();
        hooks.mint(address(payer), DEPOSIT);
        hooks.mint(address(this), AMOUNT);
        hooks.approve(address(escrow), AMOUNT);
        escrow.deposit(address(hooks), STRANGER, AMOUNT); // others' money
        _hook(hooks, payer);
        Terms memory t = _interactions();
        (t.payer, t.token) = (address(payer), address(hooks));
        (bytes memory quote, bytes memory consent) = (_signBy(ADVISOR, _hashOf(t)), _signBy(CLIENT, _hashOf(t)));
        payer.onSend(address(escrow), abi.encodeCall(escrow.closeFor, (_closing(t, 0))), true);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.AmountNotReceived.selector, address(hooks), DEPOSIT, 0));
        CHEATS.prank(address(payer));
        escrow.open(_pack(t), DEPOSIT, quote, consent);
        _equal(hooks.balanceOf(address(escrow)), AMOUNT, "others' money");
        _equal(uint256(_session(t).status), uint256(Status.None), "status");
    }

    function test_ESC1_a_withdrawal_in_the_middle_of_a_deposit_pays_nothing_twice() external {
        HookToken hooks = new HookToken();
        HookedAccount account = new HookedAccount();
        hooks.mint(address(account), 2 * AMOUNT);
        _hook(hooks, account);
        CHEATS.prank(address(account));
        escrow.deposit(address(hooks), address(account), AMOUNT);
        bytes memory out = abi.encodeCall(escrow.withdraw, (address(hooks), AMOUNT, address(account)));
        account.onSend(address(escrow), out, true);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.AmountNotReceived.selector, address(hooks), AMOUNT, 0));
        CHEATS.prank(address(account));
        escrow.deposit(address(hooks), address(account), AMOUNT);
        _equal(escrow.balanceOf(address(hooks), address(account)), AMOUNT, "balance");
        _equal(hooks.balanceOf(address(escrow)), AMOUNT, "kept");
    }

    function test_ESC13_more_withdrawn_in_the_middle_of_a_deposit_than_it_brings_is_an_arrival_of_nothing() external {
        HookToken hooks = new HookToken();
        HookedAccount account = new HookedAccount();
        hooks.mint(address(account), 3 * AMOUNT);
        _hook(hooks, account);
        CHEATS.prank(address(account));
        escrow.deposit(address(hooks), address(account), 2 * AMOUNT);
        bytes memory out = abi.encodeCall(escrow.withdraw, (address(hooks), 2 * AMOUNT, address(account)));
        account.onSend(address(escrow), out, true);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.AmountNotReceived.selector, address(hooks), AMOUNT, 0));
        CHEATS.prank(address(account));
        escrow.deposit(address(hooks), address(account), AMOUNT);
        _equal(escrow.balanceOf(address(hooks), address(account)), 2 * AMOUNT, "balance");
    }

    function test_ESC6_a_payer_who_calls_back_when_refunded_gets_nothing_twice() external {
        HookToken hooks = new HookToken();
        HookedAccount payer = new HookedAccount();
        hooks.mint(address(payer), 2 * uint256(DEPOSIT));
        _hook(hooks, payer);
        Terms memory t = _interactions();
        (t.payer, t.token) = (address(payer), address(hooks));
        _open(t, DEPOSIT);
        payer.onSend(address(escrow), abi.encodeCall(escrow.closeFor, (_closing(t, 0))), false);
        escrow.closeFor(_closing(t, 0));
        require(!payer.done(), "closed twice");
        _equal(payer.answer(), _notOpen(t), "why");
        _equal(hooks.balanceOf(address(payer)), 2 * uint256(DEPOSIT), "refunded once");
    }

    // ------------------------------------------------------------------ helpers

    function _hook(HookToken hooks, HookedAccount account) private {
        CHEATS.prank(address(account));
        hooks.hook(true);
        CHEATS.prank(address(account));
        hooks.approve(address(escrow), type(uint256).max);
    }

    function _refusesIn(address strange, bytes memory why) private {
        PlainToken(strange).mint(CLIENT, 10 * uint256(DEPOSIT));
        CHEATS.prank(CLIENT);
        PlainToken(strange).approve(address(escrow), type(uint256).max);
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.deposit(strange, CLIENT, DEPOSIT);
        Terms memory t = _terms();
        t.token = strange;
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.open(_pack(t), DEPOSIT, quote, "");
        _equal(uint256(_session(t).status), uint256(Status.None), "status");
    }

    function _authorizationOf(bytes32 separator, uint256 amount, bytes32 nonce) private view returns (bytes32) {
        bytes32 message =
            keccak256(abi.encode(_type(RECEIVE_TYPE), CLIENT, address(escrow), amount, time - 1, time + 1, nonce));
        return _typed(separator, message);
    }

    function _authorizeAt(address asked, bytes32 separator, bytes32 salt)
        private
        view
        returns (Authorization memory a)
    {
        (a.validAfter, a.validBefore) = (time - 1, time + 1);
        bytes32 nonce = keccak256(abi.encode(keccak256("Deposit"), asked, CLIENT, salt));
        a.signature = _sign(CLIENT_KEY, _authorizationOf(separator, DEPOSIT, nonce));
    }
}
