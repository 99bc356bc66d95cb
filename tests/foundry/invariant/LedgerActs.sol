// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Grant, Pen} from "./GhostMoney.sol";
import {Act, Stage} from "./Stage.sol";

/// @title Acts: money into balances and out of them
/// @dev A function named `_to…` writes a call down, for the escrow and for the ghost. `forced` is who has to make it;
/// zero: whoever the dice say.
abstract contract LedgerActs is Stage {
    function deposit(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toDeposit(seed, address(0)));
    }

    function depositWithAuthorization(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toDepositWithAuthorization(seed));
    }

    function withdraw(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toWithdraw(seed, address(0)));
    }

    function withdrawFor(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toWithdrawFor(seed));
    }

    /// @dev So much into a balance, without any trick, before it is needed.
    function _stock(address token, address account, uint256 amount) internal {
        uint256 has = ghost.balanceOf(token, account);
        if (has < amount) _perform(_asDeposit("stock", RELAYER, token, account, amount - has, 0));
    }

    function _asDeposit(bytes32 name, address by, address token, address account, uint256 amount, uint256 wrong)
        internal
        view
        returns (Act memory a)
    {
        (a.name, a.by, a.token, a.account, a.other) = (name, by, token, account, by);
        a.value = (token == COIN ? amount : 0) + wrong;
        a.real = abi.encodeCall(escrow.deposit, (token, account, amount));
        a.ghost = abi.encodeCall(ghost.deposit, (by, a.value, token, account, amount));
    }

    function _toDeposit(uint256 seed, address forced) internal view returns (Act memory) {
        address by = forced == address(0) ? _oneOf(seed, "by", _accounts) : forced;
        address token = _oneOf(seed, "token", _tokens);
        uint256 amount = 1 + _roll(seed, "amount", 1_000 * uint256(_one(token)));
        address account = _oneOf(seed, "account", _accounts);
        uint256 fault = _roll(seed, "deposit", 40);
        if (fault == 0) amount = 0;
        if (fault == 1) account = address(0);
        if (fault == 2) account = address(escrow);
        if (fault == 3) token = STRANGER; // no contract
        if (fault == 4) amount = 1e31; // more than anybody has; of coin, not even with the call
        if (fault == 5) amount = amount % 150; // around where a fee begins to show
        bool poor = fault == 4 && token == COIN;
        if (poor) amount = 1;
        return _asDeposit("deposit", by, token, account, amount, fault == 6 || poor ? 1 : 0);
    }

    function _toDepositWithAuthorization(uint256 seed) internal view returns (Act memory a) {
        address token = _chance(seed, "dollar", 88) ? DOLLAR : _oneOf(seed, "token", _tokens);
        address account = _oneOf(seed, "account", _accounts);
        uint256 amount = _roll(seed, "amount", 500 * uint256(_one(token)));
        if (_chance(seed, "nothing", 2)) amount = 0;
        if (_chance(seed, "too much", 2)) amount = 1e31;
        bytes32 salt = bytes32(_roll(seed, "salt", 1_000)); // some come twice
        bytes32 nonce = keccak256(abi.encode(keccak256("Deposit"), token, account, salt));
        (Authorization memory authorization, Grant memory grant) = _authorize(seed, token, account, amount, nonce);
        (a.name, a.by) = ("depositWithAuthorization", _oneOf(seed, "by", _accounts));
        (a.token, a.account, a.other) = (token, account, account);
        a.real = abi.encodeCall(escrow.depositWithAuthorization, (token, account, amount, salt, authorization));
        a.ghost = abi.encodeCall(ghost.depositWithAuthorization, (a.by, 0, token, account, amount, salt, grant));
    }

    /// @dev Whose balance is taken from: a few tries for one that is not empty.
    function _someBalance(uint256 seed, address forced) private view returns (address token, address account) {
        for (uint256 i = 0; i < 6; ++i) {
            token = _tokens[_roll(seed, bytes32(i), _tokens.length)];
            account = forced == address(0) ? _oneOf(seed, bytes32(100 + i), _accounts) : forced;
            if (ghost.balanceOf(token, account) != 0) break;
        }
    }

    function _someAmount(uint256 seed, uint256 available) private pure returns (uint256) {
        uint256 kind = _roll(seed, "how much", 20);
        if (kind == 0) return 0;
        if (kind == 1) return available + 1;
        if (kind < 8 || available == 0) return available;
        return 1 + _roll(seed, "part", available);
    }

    function _someRecipient(uint256 seed, address account) private view returns (address) {
        uint256 kind = _roll(seed, "to", 40);
        if (kind == 0) return address(0);
        if (kind == 1) return address(escrow);
        if (kind == 2) return DOLLAR; // takes no coin
        return kind < 16 ? _oneOf(seed, "recipient", _accounts) : account;
    }

    function _asWithdraw(bytes32 name, address by, address token, uint256 amount, address to)
        internal
        view
        returns (Act memory a)
    {
        (a.name, a.by, a.token, a.account, a.other) = (name, by, token, by, to);
        a.real = abi.encodeCall(escrow.withdraw, (token, amount, to));
        a.ghost = abi.encodeCall(ghost.withdraw, (by, 0, token, amount, to));
    }

    function _toWithdraw(uint256 seed, address forced) internal view returns (Act memory) {
        (address token, address account) = _someBalance(seed, forced);
        uint256 amount = _someAmount(seed, ghost.balanceOf(token, account));
        return _asWithdraw("withdraw", account, token, amount, _someRecipient(seed, account));
    }

    function _toWithdrawFor(uint256 seed) internal view returns (Act memory a) {
        (a.name, a.by) = ("withdrawFor", _oneOf(seed, "by", _accounts));
        (a.token, a.account) = _someBalance(seed, address(0));
        a.other = _someRecipient(seed, a.account);
        uint256 amount = _someAmount(seed, ghost.balanceOf(a.token, a.account));
        uint256 nonce = ghost.nonces(a.account);
        uint256 deadline = _now + _roll(seed, "deadline", 3) * 1 hours; // now is in time
        uint256 fault = _roll(seed, "withdrawFor", 30);
        if (fault == 0) nonce += 1;
        if (fault == 1 && nonce != 0) nonce -= 1;
        if (fault == 2) deadline = _now - 1;
        Message memory m = _withdrawal(a.account, a.token, amount, a.other, nonce, deadline);
        (bytes memory signature, Pen memory pen) = _sign(seed, m);
        a.real = abi.encodeCall(escrow.withdrawFor, (a.account, a.token, amount, a.other, nonce, deadline, signature));
        a.ghost =
            abi.encodeCall(ghost.withdrawFor, (a.by, 0, a.account, a.token, amount, a.other, nonce, deadline, pen));
    }
}
