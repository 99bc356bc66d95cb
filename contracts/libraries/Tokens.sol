// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {IErrors} from "../interfaces/IErrors.sol";
import {Signatures} from "./Signatures.sol";

/// @notice What Honorarium uses of EIP-3009, in the form with v, r, s and the form with bytes.
interface IERC3009 {
    function DOMAIN_SEPARATOR() external view returns (bytes32);

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;
}

/// @notice A payer's EIP-3009 authorization; its nonce is given by what it pays for.
struct Authorization {
    uint256 validAfter; // unix seconds, exclusive
    uint256 validBefore; // unix seconds, exclusive
    bytes signature;
}

/// @title Moving money, checked
/// @dev The zero address is the chain's own coin. Tokens that return nothing are fine; tokens that return anything but
/// true, have no code, or deliver another amount are refused.
library Tokens {
    bytes32 internal constant RECEIVE_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    /// @dev What a pushed payment may use. Enough for proxied tokens and for wallets that note what they receive.
    uint256 internal constant PUSH_TOKEN_GAS = 200_000;
    uint256 internal constant PUSH_COIN_GAS = 50_000;

    /// @dev Sums of amounts up to this never overflow.
    uint256 internal constant MOST_AT_ONCE = type(uint128).max;

    function balanceOf(address token, address account) internal view returns (uint256) {
        (bool answered, uint256 balance) = SafeTransferLib.checkBalanceOf(token, account);
        if (!answered) _deny(token);
        return balance;
    }

    /// @notice Moves `amount` by allowance from `from` to `to`; returns only if exactly that much arrived.
    function pull(address token, address from, address to, uint256 amount) internal {
        uint256 before = balanceOf(token, to);
        if (!SafeTransferLib.trySafeTransferFrom(token, from, to, amount)) revert IErrors.TokenCallFailed(token);
        _arrived(token, to, before, amount);
    }

    /// @notice Moves `amount` by EIP-3009 from `from` to this contract; returns only if exactly that much arrived.
    /// @dev The signature is checked here too: a made-up token must not be able to name somebody who signed nothing.
    function receiveAuthorized(
        address token,
        address from,
        uint256 amount,
        bytes32 nonce,
        Authorization calldata authorization
    ) internal {
        uint256 before = balanceOf(token, address(this));
        bytes32 digest = _authorizationDigest(token, from, amount, nonce, authorization);
        (bool byKey, bytes memory why) = Signatures.examine(from, digest, authorization.signature);
        if (why.length != 0) revertWith(why);
        if (!_call(token, gasleft(), 0, _receiveCall(byKey, from, amount, nonce, authorization))) {
            revert IErrors.TokenCallFailed(token);
        }
        _arrived(token, address(this), before, amount);
    }

    /// @notice Moves `amount` from this contract on to `to`; returns only if exactly that much arrived.
    function forward(address token, address to, uint256 amount) internal {
        uint256 before = balanceOf(token, to);
        if (!pay(token, to, amount)) revert IErrors.PaymentFailed(token, to, amount);
        _arrived(token, to, before, amount);
    }

    /// @notice Pays `amount` out, with all gas that is left. True if the recipient or the token took it.
    function pay(address token, address to, uint256 amount) internal returns (bool) {
        if (token == address(0)) return _call(to, gasleft(), amount, "");
        return _call(token, gasleft(), 0, abi.encodeCall(IERC20.transfer, (to, amount)));
    }

    /// @notice Pays `amount` out within fixed gas, so that no recipient or token can stop the caller.
    function push(address token, address to, uint256 amount) internal returns (bool) {
        uint256 stipend = token == address(0) ? PUSH_COIN_GAS : PUSH_TOKEN_GAS;
        // A caller who sends too little gas must not be able to make a payment fail (63/64 of what is left is passed).
        uint256 needed = stipend + stipend / 60 + 30_000;
        if (gasleft() < needed) revert IErrors.NotEnoughGas(needed, gasleft());
        if (token == address(0)) return _call(to, stipend, amount, "");
        return _call(token, stipend, 0, abi.encodeCall(IERC20.transfer, (to, amount)));
    }

    function revertWith(bytes memory why) internal pure {
        assembly ("memory-safe") {
            revert(add(why, 32), mload(why))
        }
    }

    /// @dev The one word that a token answers. Without a word it is not the token it is taken for.
    function _ask(address token, bytes memory question) private view returns (bytes32 answer) {
        bool answered;
        assembly ("memory-safe") {
            answered := staticcall(gas(), token, add(question, 32), mload(question), 0, 32)
            answered := and(answered, gt(returndatasize(), 31))
            answer := mload(0)
        }
        if (!answered) _deny(token);
    }

    function _deny(address token) private view {
        if (token.code.length == 0) revert IErrors.TokenWithoutCode(token);
        revert IErrors.TokenCallFailed(token);
    }

    /// @dev Success, and from a token either true or, if there is code, no answer. Reads at most one word of what comes
    /// back, so that a recipient cannot make us pay for a long answer.
    function _call(address to, uint256 stipend, uint256 value, bytes memory data) private returns (bool done) {
        assembly ("memory-safe") {
            done := call(stipend, to, value, add(data, 32), mload(data), 0, 32)
            // A plain payment (no data) may answer anything.
            if mload(data) {
                switch returndatasize()
                case 0 { done := and(done, iszero(iszero(extcodesize(to)))) }
                default { done := and(done, and(gt(returndatasize(), 31), eq(mload(0), 1))) }
            }
        }
    }

    function _arrived(address token, address to, uint256 before, uint256 amount) private view {
        uint256 present = balanceOf(token, to);
        uint256 received = present < before ? 0 : present - before;
        // No real token has so much. A made-up one could fill a balance until nothing more can be credited to it, and
        // so stop whole batches.
        if (received > MOST_AT_ONCE) received = MOST_AT_ONCE;
        if (received != amount) revert IErrors.AmountNotReceived(token, amount, received);
    }

    function _authorizationDigest(
        address token,
        address from,
        uint256 amount,
        bytes32 nonce,
        Authorization calldata authorization
    ) private view returns (bytes32) {
        bytes32 message = keccak256(
            abi.encode(
                RECEIVE_TYPEHASH,
                from,
                address(this),
                amount,
                authorization.validAfter,
                authorization.validBefore,
                nonce
            )
        );
        bytes32 separator = _ask(token, abi.encodeCall(IERC3009.DOMAIN_SEPARATOR, ()));
        return keccak256(abi.encodePacked(hex"1901", separator, message));
    }

    /// @dev The form with v, r, s is the older one and known to every such token; only a contract's signature needs bytes.
    function _receiveCall(bool byKey, address from, uint256 amount, bytes32 nonce, Authorization calldata authorization)
        private
        view
        returns (bytes memory)
    {
        (uint256 validAfter, uint256 validBefore) = (authorization.validAfter, authorization.validBefore);
        if (byKey) {
            (uint8 v, bytes32 r, bytes32 s) = Signatures.split(authorization.signature);
            return abi.encodeWithSignature(
                "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
                from,
                address(this),
                amount,
                validAfter,
                validBefore,
                nonce,
                v,
                r,
                s
            );
        }
        return abi.encodeWithSignature(
            "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
            from,
            address(this),
            amount,
            validAfter,
            validBefore,
            nonce,
            authorization.signature
        );
    }
}
