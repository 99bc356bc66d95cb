// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Session, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Base, Terms} from "./Base.sol";
import {MoodyRecipient} from "./mocks/Wallets.sol";

/// @dev Random lives of four sessions at once; after each step the books must be right.
contract LivesTest is Base {
    uint256 private constant STEPS = 30;
    Terms[4] private lives;
    uint80[4] private earned; // what was seen last
    uint8[4] private states;
    uint256 private taken; // steps that were not refused
    MoodyRecipient private moody;

    function setUp() public override {
        super.setUp();
        moody = new MoodyRecipient();
        CHEATS.deal(address(moody), 100 ether);
        _fund(SPONSOR);
        lives[0] = _terms(); // tokens from a wallet, by time
        lives[1] = _sponsored(); // tokens from a balance, by interactions, an odd share
        lives[1].tariff.unitSeconds = 0;
        lives[1].feeBps = 3_333;
        lives[1].tariff.unitPrice = 777_777;
        lives[2] = _interactions(); // coin, from a payer who sometimes refuses it
        (lives[2].token, lives[2].payer) = (COIN, address(moody));
        lives[3] = _terms(); // tokens with step, free units and cap; the client is the platform too
        lives[3].feeRecipient = CLIENT;
        lives[3].salt = 8;
        (lives[3].tariff.includedUnits, lives[3].tariff.stepUnits) = (2, 5);
        (lives[3].tariff.stepPrice, lives[3].tariff.maxUnits) = (123_457, 11);
    }

    function test_ESC1_ESC2_ESC6_ESC15_the_books_are_right_after_every_step_of_random_lives(uint256 seed) external {
        _open(lives[0], DEPOSIT);
        _openFromBalance(lives[1], DEPOSIT);
        _open(lives[2], DEPOSIT);
        _open(lives[3], 4e6);
        for (uint256 i = 0; i < STEPS; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            _step(lives[random % 4], random >> 8);
            _check();
        }
        require(taken > 0, "every step was refused");
        _payEverybody();
    }

    function _step(Terms memory t, uint256 random) private {
        uint256 kind = random % 10;
        uint32 units = uint32((random >> 8) % 40);
        bytes memory call;
        address by = RELAYER;
        uint256 value;
        if (kind < 4) {
            call = abi.encodeCall(escrow.settle, (_settlement(t, units)));
        } else if (kind == 4) {
            uint80 raised = _session(t).deposit + uint80((random >> 16) % 5e6);
            if (t.token == COIN) value = raised - _session(t).deposit;
            by = t.payer;
            call = t.token != COIN && random & 1 << 100 == 0
                ? abi.encodeCall(escrow.topUpFromBalance, (_pack(t), raised, ""))
                : abi.encodeCall(escrow.topUp, (_pack(t), raised));
        } else if (kind == 5) {
            by = t.client;
            if ((random >> 16) % 3 == 0) call = abi.encodeCall(escrow.requestClose, (_pack(t), t.client, ""));
        } else if (kind == 6) {
            call = abi.encodeCall(escrow.finalize, (_pack(t)));
        } else if (kind == 7) {
            if ((random >> 16) % 3 == 0) call = abi.encodeCall(escrow.closeFor, (_closing(t, units)));
        } else if (kind == 8) {
            by = ADVISOR;
            uint256 balance = escrow.balanceOf(t.token, ADVISOR);
            call = abi.encodeCall(escrow.withdraw, (t.token, (random >> 16) % (balance + 2), ADVISOR));
        } else {
            moody.become(random >> 16 & 1 == 0 ? MoodyRecipient.Mood.Reverts : MoodyRecipient.Mood.Fine);
            _later((random >> 17) % 20 minutes);
        }
        if (call.length == 0) return;
        CHEATS.prank(by);
        (bool done,) = address(escrow).call{value: value}(call);
        if (done) ++taken; // refusals are part of life
    }

    /// @dev ESC-1 exactly: nobody sends anything to the escrow beside its functions here.
    function _check() private {
        uint256 tokens = _owed(address(token));
        uint256 coin = _owed(COIN);
        for (uint256 i = 0; i < 4; ++i) {
            Session memory s = _session(lives[i]);
            require(s.earned >= earned[i] && s.earned <= s.deposit, "ESC-2");
            require(uint8(s.status) >= states[i], "ESC-6");
            if (states[i] == uint8(Status.Closed)) require(s.earned == earned[i], "ESC-6");
            (earned[i], states[i]) = (s.earned, uint8(s.status));
            if (s.status == Status.Closed) continue;
            if (lives[i].token == COIN) coin += s.deposit - s.earned;
            else tokens += s.deposit - s.earned;
        }
        _equal(token.balanceOf(address(escrow)), tokens, "ESC-1, tokens");
        _equal(address(escrow).balance, coin, "ESC-1, coin");
    }

    function _owed(address of_) private view returns (uint256) {
        return escrow.balanceOf(of_, CLIENT) + escrow.balanceOf(of_, SPONSOR) + escrow.balanceOf(of_, ADVISOR)
            + escrow.balanceOf(of_, PLATFORM) + escrow.balanceOf(of_, address(moody));
    }

    /// @dev Whatever happened, everybody gets everything out, and nothing is left.
    function _payEverybody() private {
        moody.become(MoodyRecipient.Mood.Fine);
        for (uint256 i = 0; i < 4; ++i) {
            if (_session(lives[i]).status != Status.Closed) _close(lives[i], 0);
        }
        _check();
        // ESC-15: the platform's part of each whole sum, however it came together.
        uint256 parts =
            uint256(_session(lives[0]).earned) * 1_000 / 10_000 + uint256(_session(lives[1]).earned) * 3_333 / 10_000;
        _equal(escrow.balanceOf(address(token), PLATFORM), parts, "ESC-15");
        address[5] memory accounts = [CLIENT, SPONSOR, ADVISOR, PLATFORM, address(moody)];
        for (uint256 i = 0; i < 5; ++i) {
            _drain(address(token), accounts[i]);
            _drain(COIN, accounts[i]);
        }
        _equal(token.balanceOf(address(escrow)) + address(escrow).balance, 0, "left");
    }

    function _drain(address of_, address account) private {
        uint256 balance = escrow.balanceOf(of_, account);
        if (balance == 0) return;
        CHEATS.prank(account);
        escrow.withdraw(of_, balance, account);
    }
}
