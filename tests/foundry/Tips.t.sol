// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {ITipJar} from "../../contracts/interfaces/ITipJar.sol";
import {Authorization} from "../../contracts/libraries/Tokens.sol";
import {Base} from "./Base.sol";
import {
    AnsweringToken,
    FeeToken,
    KeepingToken,
    MadeUpToken,
    NoReturnToken,
    PlainToken,
    SilentAuthorizations,
    SwallowingToken
} from "./mocks/Tokens.sol";
import {Busy, MoodyRecipient, OneDigestWallet} from "./mocks/Wallets.sol";

/// @dev A tip moves in full to the advisor, or not at all; the jar keeps nothing.
contract TipsTest is Base {
    uint256 private constant AMOUNT = 5e6;
    bytes32 private constant SESSION = keccak256("session");
    bytes32 private constant MEMO = keccak256("memo");
    bytes32 private constant SALT = keccak256("salt");
    ITipJar private jar;

    function setUp() public override {
        super.setUp();
        jar = ITipJar(_shipped("TipJar"));
        CHEATS.prank(CLIENT);
        token.approve(address(jar), type(uint256).max);
    }

    // ------------------------------------------------------------------ ways

    function test_a_tip_by_allowance_arrives_in_full() external {
        CHEATS.expectEmit(address(jar));
        emit ITipJar.Tipped(ADVISOR, CLIENT, SESSION, address(token), AMOUNT, MEMO);
        CHEATS.prank(CLIENT);
        jar.tip(ADVISOR, SESSION, address(token), AMOUNT, MEMO);
        _arrived();
    }

    function test_a_tip_in_coin_arrives_in_full() external {
        CHEATS.expectEmit(address(jar));
        emit ITipJar.Tipped(ADVISOR, CLIENT, 0, COIN, AMOUNT, MEMO);
        CHEATS.prank(CLIENT);
        jar.tip{value: AMOUNT}(ADVISOR, 0, COIN, AMOUNT, MEMO);
        _equal(ADVISOR.balance, AMOUNT, "advisor");
        _equal(address(jar).balance, 0, "kept");
    }

    function test_anyone_sends_a_tip_by_eip3009_whose_nonce_binds_advisor_session_memo_and_salt() external {
        Authorization memory a = _authorize(CLIENT_KEY, address(jar), AMOUNT, _nonce());
        CHEATS.expectEmit(address(jar));
        emit ITipJar.Tipped(ADVISOR, CLIENT, SESSION, address(token), AMOUNT, MEMO);
        CHEATS.prank(RELAYER);
        jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, address(token), AMOUNT, MEMO, SALT, a);
        _arrived();
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(token)));
        jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, address(token), AMOUNT, MEMO, SALT, a); // spent
    }

    function test_a_contract_wallet_tips_by_eip3009() external {
        OneDigestWallet wallet = new OneDigestWallet();
        token.mint(address(wallet), AMOUNT);
        Authorization memory a;
        (a.validAfter, a.validBefore, a.signature) = (time - 1, time + 1, hex"01");
        wallet.accept(_receiveDigest(address(wallet), address(jar), AMOUNT, a, _nonce()));
        jar.tipWithAuthorization(address(wallet), ADVISOR, SESSION, address(token), AMOUNT, MEMO, SALT, a);
        _arrived();
    }

    function test_a_tip_in_a_token_that_answers_nothing_arrives() external {
        NoReturnToken old = new NoReturnToken();
        old.mint(CLIENT, AMOUNT);
        CHEATS.prank(CLIENT);
        jar.tip(ADVISOR, SESSION, address(old), AMOUNT, MEMO);
        _equal(old.balanceOf(ADVISOR), AMOUNT, "advisor");
    }

    // ------------------------------------------------------------------ refusals

    function test_tips_of_nothing_to_nobody_to_the_jar_or_to_oneself_are_refused() external {
        _refuses(ADVISOR, 0, abi.encodeWithSelector(IErrors.ZeroAmount.selector));
        address[3] memory nobodies = [address(0), address(jar), CLIENT];
        for (uint256 i = 0; i < 3; ++i) {
            _refuses(nobodies[i], AMOUNT, abi.encodeWithSelector(IErrors.InvalidRecipient.selector, nobodies[i]));
        }
    }

    function test_value_that_is_not_the_tip_is_refused() external {
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongValue.selector, AMOUNT, AMOUNT - 1));
        CHEATS.prank(CLIENT);
        jar.tip{value: AMOUNT - 1}(ADVISOR, SESSION, COIN, AMOUNT, MEMO);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongValue.selector, AMOUNT, AMOUNT + 1));
        CHEATS.prank(CLIENT);
        jar.tip{value: AMOUNT + 1}(ADVISOR, SESSION, COIN, AMOUNT, MEMO);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.WrongValue.selector, 0, 1));
        CHEATS.prank(CLIENT);
        jar.tip{value: 1}(ADVISOR, SESSION, address(token), AMOUNT, MEMO);
    }

    function test_an_advisor_who_does_not_take_coin_gets_no_tip_and_the_tipper_keeps_it() external {
        MoodyRecipient moody = new MoodyRecipient();
        MoodyRecipient.Mood[2] memory moods = [MoodyRecipient.Mood.Reverts, MoodyRecipient.Mood.Bombs];
        uint256 before = CLIENT.balance;
        for (uint256 i = 0; i < 2; ++i) {
            moody.become(moods[i]);
            CHEATS.expectRevert(abi.encodeWithSelector(IErrors.PaymentFailed.selector, COIN, address(moody), AMOUNT));
            CHEATS.prank(CLIENT);
            jar.tip{value: AMOUNT}(address(moody), SESSION, COIN, AMOUNT, MEMO);
        }
        _equal(CLIENT.balance, before, "tipper");
    }

    function test_ESC13_a_tip_that_does_not_arrive_exactly_is_refused() external {
        FeeToken fee = new FeeToken();
        _refusesToken(
            fee, abi.encodeWithSelector(IErrors.AmountNotReceived.selector, address(fee), AMOUNT, AMOUNT - AMOUNT / 100)
        );
        AnsweringToken answering = new AnsweringToken();
        answering.answerWith(0);
        _refusesToken(answering, abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(answering)));
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenWithoutCode.selector, STRANGER));
        CHEATS.prank(CLIENT);
        jar.tip(ADVISOR, SESSION, STRANGER, AMOUNT, MEMO);
        SwallowingToken weth = new SwallowingToken();
        Authorization memory a = _authorize(CLIENT_KEY, address(jar), AMOUNT, _nonce());
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(weth)));
        jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, address(weth), AMOUNT, MEMO, SALT, a);
    }

    function test_ESC13_a_signed_tip_that_the_token_does_not_pass_on_exactly_is_refused() external {
        KeepingToken keeping = new KeepingToken();
        Authorization memory a = _authorizeIn(keeping);
        keeping.keep(1);
        CHEATS.expectRevert(
            abi.encodeWithSelector(IErrors.AmountNotReceived.selector, address(keeping), AMOUNT, AMOUNT - 1)
        );
        jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, address(keeping), AMOUNT, MEMO, SALT, a);
        keeping.refuse(true);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.PaymentFailed.selector, address(keeping), ADVISOR, AMOUNT));
        jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, address(keeping), AMOUNT, MEMO, SALT, a);
        keeping.keep(0);
        keeping.refuse(false);
        jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, address(keeping), AMOUNT, MEMO, SALT, a);
        _equal(keeping.balanceOf(ADVISOR), AMOUNT, "advisor");
    }

    function test_ESC13_a_signed_tip_that_never_reaches_the_jar_is_refused() external {
        SilentAuthorizations silent = new SilentAuthorizations();
        Authorization memory a = _authorizeAt(address(silent), silent.DOMAIN_SEPARATOR());
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.AmountNotReceived.selector, address(silent), AMOUNT, 0));
        jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, address(silent), AMOUNT, MEMO, SALT, a);
    }

    function test_coin_is_not_tipped_by_authorization() external {
        Authorization memory a = _authorize(CLIENT_KEY, address(jar), AMOUNT, _nonce());
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenWithoutCode.selector, COIN));
        jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, COIN, AMOUNT, MEMO, SALT, a);
    }

    function test_an_allowance_of_exactly_the_tip_is_enough_and_of_one_less_is_not() external {
        CHEATS.prank(CLIENT);
        token.approve(address(jar), AMOUNT - 1);
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(token)));
        CHEATS.prank(CLIENT);
        jar.tip(ADVISOR, SESSION, address(token), AMOUNT, MEMO);
        CHEATS.prank(CLIENT);
        token.approve(address(jar), AMOUNT);
        CHEATS.prank(CLIENT);
        jar.tip(ADVISOR, SESSION, address(token), AMOUNT, MEMO);
        _arrived();
    }

    function test_the_smallest_tip_is_one_base_unit() external {
        CHEATS.prank(CLIENT);
        jar.tip(ADVISOR, SESSION, address(token), 1, MEMO);
        _equal(token.balanceOf(ADVISOR), 1, "tokens");
        CHEATS.prank(CLIENT);
        jar.tip{value: 1}(ADVISOR, SESSION, COIN, 1, MEMO);
        _equal(ADVISOR.balance, 1, "coin");
    }

    function test_a_tip_in_coin_brings_the_advisors_wallet_all_the_gas_there_is() external {
        MoodyRecipient wallet = new MoodyRecipient();
        bytes memory long = abi.encodeCall(wallet.become, (MoodyRecipient.Mood.Fine));
        wallet.callBack(address(new Busy()), long); // more than any fixed sum that refunds carry
        CHEATS.prank(CLIENT);
        jar.tip{value: AMOUNT}(address(wallet), SESSION, COIN, AMOUNT, MEMO);
        _equal(address(wallet).balance, AMOUNT, "advisor");
    }

    function test_ESC14_an_authorization_tips_only_what_it_was_signed_for() external {
        Authorization memory a = _authorize(CLIENT_KEY, address(jar), AMOUNT, _nonce());
        for (uint256 i = 0; i < 6; ++i) {
            try jar.tipWithAuthorization(
                i == 0 ? SPONSOR : CLIENT,
                i == 1 ? STRANGER : ADVISOR,
                i == 2 ? bytes32(0) : SESSION,
                address(token),
                i == 3 ? AMOUNT + 1 : AMOUNT,
                i == 4 ? bytes32(0) : MEMO,
                i == 5 ? bytes32(0) : SALT,
                a
            ) {
                revert("tipped");
            } catch (bytes memory why) {
                require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
            }
        }
        a.signature = "";
        CHEATS.expectRevert(_missing(CLIENT));
        jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, address(token), AMOUNT, MEMO, SALT, a);
    }

    function test_a_made_up_token_names_no_tipper_who_signed_nothing() external {
        MadeUpToken madeUp = new MadeUpToken();
        Authorization memory a;
        CHEATS.expectRevert(_missing(CLIENT));
        jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, address(madeUp), AMOUNT, MEMO, SALT, a);
    }

    function test_money_that_somebody_left_in_the_jar_is_in_nobodys_tip() external {
        token.mint(address(jar), AMOUNT);
        Authorization memory a = _authorize(CLIENT_KEY, address(jar), AMOUNT, _nonce());
        jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, address(token), AMOUNT, MEMO, SALT, a);
        _equal(token.balanceOf(ADVISOR), AMOUNT, "advisor");
        _equal(token.balanceOf(address(jar)), AMOUNT, "left as it was");
    }

    function test_a_signed_tip_is_recorded_in_its_own_token_and_in_no_made_up_one() external {
        MadeUpToken madeUp = new MadeUpToken();
        madeUp.pretend(token.DOMAIN_SEPARATOR());
        Authorization memory a = _authorize(CLIENT_KEY, address(jar), AMOUNT, _nonce());
        try jar.tipWithAuthorization(CLIENT, ADVISOR, SESSION, address(madeUp), AMOUNT, MEMO, SALT, a) {
            revert("recorded");
        } catch (bytes memory why) {
            require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
        }
    }

    // ------------------------------------------------------------------ helpers

    function _nonce() private view returns (bytes32) {
        return keccak256(abi.encode(keccak256("Tip"), address(token), ADVISOR, SESSION, MEMO, SALT));
    }

    function _authorizeIn(KeepingToken strange) private view returns (Authorization memory) {
        return _authorizeAt(address(strange), strange.DOMAIN_SEPARATOR());
    }

    function _authorizeAt(address strange, bytes32 separator) private view returns (Authorization memory a) {
        (a.validAfter, a.validBefore) = (time - 1, time + 1);
        bytes32 nonce = keccak256(abi.encode(keccak256("Tip"), strange, ADVISOR, SESSION, MEMO, SALT));
        bytes32 message = keccak256(
            abi.encode(_type(RECEIVE_TYPE), CLIENT, address(jar), AMOUNT, a.validAfter, a.validBefore, nonce)
        );
        a.signature = _sign(CLIENT_KEY, _typed(separator, message));
    }

    function _arrived() private view {
        _equal(token.balanceOf(ADVISOR), AMOUNT, "advisor");
        _equal(token.balanceOf(address(jar)), 0, "kept");
    }

    function _refuses(address advisor, uint256 amount, bytes memory why) private {
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        jar.tip(advisor, SESSION, address(token), amount, MEMO);
        Authorization memory a;
        CHEATS.expectRevert(why);
        jar.tipWithAuthorization(CLIENT, advisor, SESSION, address(token), amount, MEMO, SALT, a);
    }

    function _refusesToken(PlainToken strange, bytes memory why) private {
        strange.mint(CLIENT, AMOUNT);
        CHEATS.prank(CLIENT);
        strange.approve(address(jar), AMOUNT);
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        jar.tip(ADVISOR, SESSION, address(strange), AMOUNT, MEMO);
    }
}
