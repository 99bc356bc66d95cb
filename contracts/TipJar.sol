// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITipJar} from "./interfaces/ITipJar.sol";
import {Authorization, Tokens} from "./libraries/Tokens.sol";

/// @title TipJar: moves tips and records them
/// @dev No storage and no balance: what a token does in the middle of a payment can fail that payment, or, if the token
/// is made for it, have one arrival recorded twice. Nobody else's money is here to be touched.
contract TipJar is ITipJar {
    /// @inheritdoc ITipJar
    function tip(address advisor, bytes32 sessionId, address token, uint256 amount, bytes32 memo) external payable {
        _check(msg.sender, advisor, amount);
        uint256 value = token == address(0) ? amount : 0;
        if (msg.value != value) revert WrongValue(value, msg.value);
        if (token == address(0)) {
            if (!Tokens.pay(token, advisor, amount)) revert PaymentFailed(token, advisor, amount);
        } else {
            Tokens.pull(token, msg.sender, advisor, amount);
        }
        emit Tipped(advisor, msg.sender, sessionId, token, amount, memo);
    }

    /// @inheritdoc ITipJar
    function tipWithAuthorization(
        address tipper,
        address advisor,
        bytes32 sessionId,
        address token,
        uint256 amount,
        bytes32 memo,
        bytes32 salt,
        Authorization calldata authorization
    ) external {
        _check(tipper, advisor, amount);
        bytes32 nonce = keccak256(abi.encode(keccak256("Tip"), token, advisor, sessionId, memo, salt));
        Tokens.receiveAuthorized(token, tipper, amount, nonce, authorization);
        Tokens.forward(token, advisor, amount);
        emit Tipped(advisor, tipper, sessionId, token, amount, memo);
    }

    function _check(address tipper, address advisor, uint256 amount) private view {
        if (amount == 0) revert ZeroAmount();
        if (advisor == address(0) || advisor == address(this) || advisor == tipper) revert InvalidRecipient(advisor);
    }
}
