// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Terms} from "../Base.sol";
import {BombToken, Bomber} from "../mocks/Hostile.sol";
import {Attack} from "./Attack.sol";

/// @dev Answers so long that copying them would cost the caller as much again as making them cost the bomber. One word
/// of each answer is read, whoever is asked: a bomb costs its own gas, once, and never more than its maker may use.
contract BombsTest is Attack {
    uint256 private constant SLACK = 6_000; // gas

    /// @dev Wants closings dearer by a payer who answers a payment of coin with 96,000 bytes, or fails with them.
    function test_a_payer_who_answers_a_refund_with_a_bomb_costs_only_the_bomb() external {
        Bomber payer = new Bomber();
        CHEATS.deal(address(payer), 1 ether);
        Terms memory t = _interactions();
        (t.payer, t.token) = (address(payer), COIN);
        (bytes memory quote, bytes memory consent) = (_signBy(ADVISOR, _hashOf(t)), _signBy(CLIENT, _hashOf(t)));
        payer.execute(address(escrow), DEPOSIT, abi.encodeCall(escrow.open, (_pack(t), DEPOSIT, quote, consent)));
        bytes memory close = abi.encodeCall(escrow.closeFor, (_closing(t, 1)));
        for (uint256 i = 0; i < 2; ++i) {
            payer.load(32, i == 0);
            uint256 without = _cost(RELAYER, close);
            payer.load(96_000, i == 0);
            _onlyTheBomb(without, _cost(RELAYER, close), 96_000);
        }
    }

    /// @dev The same by a token that answers a pushed refund with 256,000 bytes.
    function test_a_token_that_answers_a_refund_with_a_bomb_costs_only_the_bomb() external {
        BombToken bombs = new BombToken();
        bombs.mint(CLIENT, DEPOSIT);
        Terms memory t = _interactions();
        t.token = address(bombs);
        _open(t, DEPOSIT);
        bytes memory close = abi.encodeCall(escrow.closeFor, (_closing(t, 1)));
        bombs.bomb(BombToken.transfer.selector, 32);
        uint256 without = _cost(RELAYER, close);
        bombs.bomb(BombToken.transfer.selector, 256_000);
        _onlyTheBomb(without, _cost(RELAYER, close), 256_000);
    }

    /// @dev The same by a wallet that answers whether it signed with 400,000 bytes, in a row of a batch.
    function test_a_wallet_that_answers_a_check_with_a_bomb_costs_only_the_bomb() external {
        Bomber wallet = new Bomber();
        Terms memory t = _interactions();
        (t.advisor, keys[address(wallet)]) = (address(wallet), ADVISOR_KEY);
        _stock(CLIENT);
        bytes memory open = abi.encodeCall(escrow.openFromBalance, (_opening(t, DEPOSIT)));
        wallet.load(32, false);
        uint256 without = _cost(RELAYER, open); // refused: it answers zeros
        wallet.load(400_000, false);
        _onlyTheBomb(without, _cost(RELAYER, open), 400_000);
    }

    /// @dev The same by tokens on the way in, where the payer pays for it themselves: a megabyte for a balance, which
    /// is asked twice, for the payment, and for the domain.
    function test_a_token_that_answers_a_payment_in_with_a_bomb_costs_only_the_bomb() external {
        BombToken bombs = new BombToken();
        bombs.mint(CLIENT, DEPOSIT);
        bytes memory in_ = abi.encodeCall(escrow.deposit, (address(bombs), CLIENT, 70));
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), 70, "");
        bytes memory byAuthorization =
            abi.encodeCall(escrow.depositWithAuthorization, (address(bombs), CLIENT, 70, 0, a)); // refused after asking
        (bytes4 pays, bytes4 balance) = (BombToken.transferFrom.selector, BombToken.balanceOf.selector);
        bytes4 domain = BombToken.DOMAIN_SEPARATOR.selector;
        bombs.bomb(pays, 32);
        uint256 without = _cost(CLIENT, in_);
        bombs.bomb(pays, 1_000_000);
        _onlyTheBomb(without, _cost(CLIENT, in_), 1_000_000);
        bombs.bomb(balance, 1_000_000);
        _onlyTheBomb(without + _costOf(1_000_000), _cost(CLIENT, in_), 1_000_000);
        bombs.bomb(domain, 32);
        without = _cost(CLIENT, byAuthorization);
        bombs.bomb(domain, 1_000_000);
        _onlyTheBomb(without, _cost(CLIENT, byAuthorization), 1_000_000);
    }

    // ------------------------------------------------------------------ helpers

    function _onlyTheBomb(uint256 without, uint256 with_, uint256 size) private pure {
        require(with_ > without + _costOf(size) / 2, "there was no bomb");
        require(with_ < without + _costOf(size) + SLACK, "more than the bomb");
    }

    /// @dev What so many bytes of memory cost.
    function _costOf(uint256 size) private pure returns (uint256) {
        uint256 words = (size + 31) / 32;
        return 3 * words + words * words / 512;
    }

    function _cost(address by, bytes memory data) private returns (uint256 cost) {
        try this.measure(by, data) {}
        catch (bytes memory answer) {
            cost = abi.decode(answer, (uint256));
        }
    }

    /// @dev Undoes itself by reverting with what the call cost.
    function measure(address by, bytes calldata data) external {
        CHEATS.prank(by);
        uint256 before = gasleft();
        (bool done,) = address(escrow).call(data);
        done; // some of these are refused
        bytes memory answer = abi.encode(before - gasleft());
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}
