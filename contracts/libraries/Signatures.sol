// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";
import {IErrors} from "../interfaces/IErrors.sol";

/// @title Who signed a digest
/// @dev Low-s ECDSA comes first, for everybody: an account that signs with a key may carry code too (EIP-7702).
/// Only then is a contract asked (ERC-1271), with bounded gas and bounded return data.
library Signatures {
    /// @dev Room for a wallet with several owners or a passkey checked in Solidity.
    uint256 internal constant WALLET_GAS = 400_000;

    /// @dev Half of the order of secp256k1, rounded down: above it a signature is the mirror image of another (EIP-2).
    bytes32 internal constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @notice Why `signature` is not `signer`'s over `digest`; empty if it is.
    /// @param signature 65 bytes (r, s, v), 64 bytes (EIP-2098), or whatever the signer's contract understands
    function refusal(address signer, bytes32 digest, bytes calldata signature)
        internal
        view
        returns (bytes memory why)
    {
        (, why) = examine(signer, digest, signature);
    }

    /// @notice The same, and whether the signer's own key made it, so that no contract needs to be asked.
    function examine(address signer, bytes32 digest, bytes calldata signature)
        internal
        view
        returns (bool byKey, bytes memory why)
    {
        // A contract may have been told before and want no more (multi-signature wallets do that); a key signs.
        if (signature.length == 0 && signer.code.length == 0) {
            return (false, abi.encodeWithSelector(IErrors.SignatureMissing.selector, signer));
        }
        address recovered = ECDSA.tryRecoverCalldata(digest, signature);
        bytes32 s = _s(signature);
        if (recovered == signer && s <= HALF_ORDER && signer != address(0)) return (true, why);
        if (signer.code.length != 0) {
            if (_walletAccepts(signer, digest, signature)) return (false, why);
        } else if (s > HALF_ORDER) {
            return (false, abi.encodeWithSelector(IErrors.HighS.selector, s));
        }
        return (false, abi.encodeWithSelector(IErrors.WrongSigner.selector, signer, recovered));
    }

    /// @notice The same for a session's meter key, which is never a contract: the signature is (r, vs) of EIP-2098.
    function meterRefusal(address key, bytes32 digest, bytes32 r, bytes32 vs) internal view returns (bytes memory why) {
        address recovered = ECDSA.tryRecover(digest, r, vs);
        bytes32 s = vs & bytes32(type(uint256).max >> 1);
        if (s > HALF_ORDER) return abi.encodeWithSelector(IErrors.HighS.selector, s);
        if (recovered != key) return abi.encodeWithSelector(IErrors.WrongSigner.selector, key, recovered);
    }

    /// @notice v, r and s of a key's signature, 65 or 64 bytes long.
    function split(bytes calldata signature) internal pure returns (uint8 v, bytes32 r, bytes32 s) {
        v = signature.length == 65 ? uint8(signature[64]) : uint8(uint256(bytes32(signature[32:])) >> 255) + 27;
        return (v, bytes32(signature), _s(signature));
    }

    /// @dev The second word of a key's signature, without the parity that EIP-2098 puts into its highest bit.
    function _s(bytes calldata signature) private pure returns (bytes32 s) {
        if (signature.length < 64) return 0;
        assembly ("memory-safe") {
            s := calldataload(add(signature.offset, 32))
        }
        if (signature.length == 64) s &= bytes32(type(uint256).max >> 1);
    }

    function _walletAccepts(address wallet, bytes32 digest, bytes calldata signature) private view returns (bool) {
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        // Too little gas would look like a refusal, and be remembered as one in a batch: stop everything instead. Only
        // now: how much a long signature costs to copy is up to whoever made it.
        uint256 needed = WALLET_GAS + WALLET_GAS / 60 + 5_000;
        if (gasleft() < needed) revert IErrors.NotEnoughGas(needed, gasleft());
        bool success;
        uint256 size;
        bytes32 answer;
        assembly ("memory-safe") {
            success := staticcall(WALLET_GAS, wallet, add(question, 32), mload(question), 0, 32)
            size := returndatasize()
            answer := mload(0)
        }
        return success && size >= 32 && answer == bytes32(IERC1271.isValidSignature.selector);
    }
}
