// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Authorization} from "../libraries/Tokens.sol";
import {IErrors} from "./IErrors.sol";

/// @title Tips: money outside the tariff, straight to the advisor
/// @notice Holds nothing. A tip moves in full to the advisor in the same transaction, or not at all; what it belongs to
/// (a session, or none) and the memo are the tipper's claim and are recorded, not checked.
interface ITipJar is IErrors {
    /// @notice An advisor received a tip.
    /// @param sessionId what the tipper says it is for; zero: no session
    /// @param amount base units of the token (zero address: the chain's own coin)
    /// @param memo whatever the tipper commits to
    event Tipped(
        address indexed advisor,
        address indexed tipper,
        bytes32 indexed sessionId,
        address token,
        uint256 amount,
        bytes32 memo
    );

    /// @notice Tips from the caller's wallet: by allowance to this contract, or with coin as value.
    function tip(address advisor, bytes32 sessionId, address token, uint256 amount, bytes32 memo) external payable;

    /// @notice Tips from `tipper`'s wallet by EIP-3009; anyone may send it.
    /// The authorization's nonce is keccak256(abi.encode(keccak256("Tip"), token, advisor, sessionId, memo, salt)).
    function tipWithAuthorization(
        address tipper,
        address advisor,
        bytes32 sessionId,
        address token,
        uint256 amount,
        bytes32 memo,
        bytes32 salt,
        Authorization calldata authorization
    ) external;
}
