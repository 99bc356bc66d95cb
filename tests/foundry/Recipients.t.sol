// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {Closing, ISessionEscrow, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Base, Cheats, Terms} from "./Base.sol";
import {BlacklistToken, MoodyToken, PlainToken} from "./mocks/Tokens.sol";
import {MoodyRecipient} from "./mocks/Wallets.sol";

/// @dev ESC-8: no payer and no token keeps others from their money; what cannot be pushed is credited.
contract RecipientsTest is Base {
    uint80 private constant REFUND = DEPOSIT - 1_500_000; // of a session of one unit

    // ------------------------------------------------------------------ coin

    function _coinSession(uint96 salt) private returns (Terms memory t, MoodyRecipient payer) {
        payer = new MoodyRecipient();
        CHEATS.deal(address(payer), 1 ether);
        t = _interactions();
        (t.payer, t.token, t.salt) = (address(payer), COIN, salt);
        _open(t, DEPOSIT);
    }

    function test_ESC8_a_payer_who_reverts_burns_gas_or_bombs_is_credited_and_the_close_goes_on() external {
        MoodyRecipient.Mood[3] memory moods =
            [MoodyRecipient.Mood.Reverts, MoodyRecipient.Mood.BurnsGas, MoodyRecipient.Mood.Bombs];
        for (uint96 i = 0; i < 3; ++i) {
            (Terms memory t, MoodyRecipient payer) = _coinSession(i);
            payer.become(moods[i]);
            Closing memory c = _closing(t, 1);
            _expectEvent();
            emit ISessionEscrow.SessionClosed(_idOf(t), 1, 1_500_000, _journal(1));
            _expectEvent();
            emit ISessionEscrow.RefundCredited(_idOf(t), address(payer), REFUND);
            uint256 before = gasleft();
            escrow.closeFor(c);
            require(before - gasleft() < 200_000, "cost more than the stipend");
            _equal(escrow.balanceOf(COIN, address(payer)), REFUND, "credited");
            _equal(escrow.balanceOf(COIN, ADVISOR), 1_350_000 * (uint256(i) + 1), "advisor");
            CHEATS.prank(address(payer));
            escrow.withdraw(COIN, REFUND, STRANGER); // the money is theirs all the same
        }
        _equal(STRANGER.balance, 3 * uint256(REFUND), "withdrawn");
    }

    function test_ESC8_finalize_goes_on_too() external {
        (Terms memory t, MoodyRecipient payer) = _coinSession(0);
        _leave(t);
        _later(t.closeGrace);
        payer.become(MoodyRecipient.Mood.Reverts);
        _expectEvent();
        emit ISessionEscrow.RefundCredited(_idOf(t), address(payer), DEPOSIT);
        escrow.finalize(_pack(t));
        _equal(escrow.balanceOf(COIN, address(payer)), DEPOSIT, "credited");
    }

    function test_ESC8_a_batch_goes_on_past_hostile_payers() external {
        MoodyRecipient.Mood[4] memory moods = [
            MoodyRecipient.Mood.Reverts,
            MoodyRecipient.Mood.BurnsGas,
            MoodyRecipient.Mood.Bombs,
            MoodyRecipient.Mood.Fine
        ];
        Closing[] memory rows = new Closing[](4);
        Terms[] memory ts = new Terms[](4);
        for (uint96 i = 0; i < 4; ++i) {
            MoodyRecipient payer;
            (ts[i], payer) = _coinSession(i);
            payer.become(moods[i]);
            rows[i] = _closing(ts[i], 1);
        }
        escrow.closeBatch(rows);
        for (uint96 i = 0; i < 4; ++i) {
            _equal(uint256(_session(ts[i]).status), uint256(Status.Closed), "status");
            _equal(escrow.balanceOf(COIN, ts[i].payer), i < 3 ? REFUND : 0, "credited");
        }
        _equal(ts[3].payer.balance, 1 ether - 1_500_000, "paid");
    }

    function test_ESC8_a_wallet_that_uses_nearly_all_of_the_stipend_is_paid() external {
        (Terms memory t, MoodyRecipient payer) = _coinSession(0);
        payer.become(MoodyRecipient.Mood.Slow);
        _neverCreditedForWantOfGas(t);
        _equal(address(payer).balance, 1 ether - 1_500_000, "paid");
    }

    function test_ESC6_a_payer_who_closes_again_when_refunded_is_credited_once() external {
        (Terms memory t, MoodyRecipient payer) = _coinSession(0);
        (Terms memory other,) = _coinSession(1);
        payer.callBack(address(escrow), abi.encodeCall(escrow.closeFor, (_closing(t, 1))));
        escrow.closeFor(_closing(t, 1)); // the call back fails, and so does the payment
        _equal(escrow.balanceOf(COIN, address(payer)), REFUND, "credited");
        _equal(address(payer).balance, 1 ether - DEPOSIT, "not paid");
        _equal(address(escrow).balance, 2 * uint256(DEPOSIT), "all there");
        _close(other, 0);
    }

    function test_ESC8_a_refund_that_was_credited_is_there_for_the_next_session() external {
        (Terms memory t, MoodyRecipient payer) = _coinSession(0);
        payer.become(MoodyRecipient.Mood.Reverts);
        _close(t, 1);
        (t.tariff.connectFee, t.salt) = (0, 8);
        // A contract without signatures opens by its own call.
        bytes memory open = abi.encodeCall(escrow.openFromBalance, (_opening(t, 1e6)));
        payer.execute(address(escrow), 0, open);
        _equal(escrow.balanceOf(COIN, address(payer)), REFUND - 1e6, "balance");
    }

    // ------------------------------------------------------------------ tokens

    function _tokenSession(PlainToken plain, uint96 salt) private returns (Terms memory t) {
        t = _interactions();
        (t.token, t.salt) = (address(plain), salt);
        plain.mint(CLIENT, DEPOSIT);
        CHEATS.prank(CLIENT);
        plain.approve(address(escrow), DEPOSIT);
        _open(t, DEPOSIT);
    }

    function test_ESC8_a_token_that_reverts_burns_gas_or_bombs_stops_no_close() external {
        MoodyToken moody = new MoodyToken();
        MoodyToken.Mood[3] memory moods = [MoodyToken.Mood.Reverts, MoodyToken.Mood.BurnsGas, MoodyToken.Mood.Bombs];
        for (uint96 i = 0; i < 3; ++i) {
            moody.become(MoodyToken.Mood.Fine);
            Terms memory t = _tokenSession(moody, i);
            Closing memory c = _closing(t, 1);
            moody.become(moods[i]);
            _expectEvent();
            emit ISessionEscrow.RefundCredited(_idOf(t), CLIENT, REFUND);
            uint256 before = gasleft();
            escrow.closeFor(c);
            require(before - gasleft() < 400_000, "cost more than the stipend");
        }
        _equal(escrow.balanceOf(address(moody), CLIENT), 3 * uint256(REFUND), "credited");
        moody.become(MoodyToken.Mood.Reverts);
        bytes memory why =
            abi.encodeWithSelector(IErrors.PaymentFailed.selector, address(moody), CLIENT, uint256(REFUND));
        CHEATS.expectRevert(why);
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(moody), REFUND, CLIENT);
        moody.become(MoodyToken.Mood.Fine);
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(moody), 3 * uint256(REFUND), CLIENT);
        _equal(moody.balanceOf(CLIENT), 3 * uint256(REFUND), "withdrawn");
    }

    function test_ESC8_a_blacklisted_payer_is_credited_and_withdraws_elsewhere() external {
        BlacklistToken lists = new BlacklistToken();
        Terms memory t = _tokenSession(lists, 0);
        Terms memory other = _tokenSession(lists, 1);
        lists.blacklist(CLIENT, true);
        Closing[] memory rows = new Closing[](2);
        (rows[0], rows[1]) = (_closing(t, 1), _closing(other, 2));
        escrow.closeBatch(rows);
        _equal(escrow.balanceOf(address(lists), CLIENT), uint256(REFUND) + REFUND - 1e6, "credited");
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(lists), REFUND, STRANGER);
        _equal(lists.balanceOf(STRANGER), REFUND, "withdrawn");
    }

    function test_ESC8_a_token_whose_code_is_gone_stops_no_close() external {
        PlainToken plain = new PlainToken();
        Terms memory t = _tokenSession(plain, 0);
        CHEATS.etch(address(plain), "");
        _expectEvent();
        emit ISessionEscrow.RefundCredited(_idOf(t), CLIENT, REFUND);
        escrow.closeFor(_closing(t, 1));
    }

    function test_ESC8_a_token_that_uses_nearly_all_of_the_stipend_pays() external {
        MoodyToken moody = new MoodyToken();
        Terms memory t = _tokenSession(moody, 0);
        moody.become(MoodyToken.Mood.Slow);
        _neverCreditedForWantOfGas(t);
        _equal(moody.balanceOf(CLIENT), REFUND, "paid");
    }

    // ------------------------------------------------------------------ gas

    /// @dev Closes with more and more gas: each attempt reverts, at some of them by NotEnoughGas, until the payer is paid.
    function _neverCreditedForWantOfGas(Terms memory t) private {
        Closing memory c = _closing(t, 1);
        bool told;
        for (uint256 gas_ = 60_000;; gas_ += 250) {
            require(gas_ < 1_000_000, "never closes");
            CHEATS.recordLogs();
            try escrow.closeFor{gas: gas_}(c) {
                break;
            } catch (bytes memory why) {
                if (why.length == 0) continue; // out of gas
                require(bytes4(why) == IErrors.NotEnoughGas.selector, "refused for another reason");
                told = true;
            }
        }
        require(told, "NotEnoughGas was never told");
        Cheats.Log[] memory logs = CHEATS.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            require(logs[i].topics[0] != ISessionEscrow.RefundCredited.selector, "credited for want of gas");
        }
        _equal(escrow.balanceOf(t.token, t.payer), 0, "credited for want of gas");
    }
}
