// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";

/// @title The EIP-712 domain under which everything is signed
abstract contract Domain is IERC5267 {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    uint256 private immutable _chainId = block.chainid;
    bytes32 private immutable _domainSeparator = _computeSeparator();

    /// @dev Follows the chain id: after a fork that changes it, old signatures count only on the old chain.
    function _separator() internal view returns (bytes32) {
        return block.chainid == _chainId ? _domainSeparator : _computeSeparator();
    }

    function _computeSeparator() private view returns (bytes32) {
        return
            keccak256(
                abi.encode(DOMAIN_TYPEHASH, keccak256("Honorarium"), keccak256("1"), block.chainid, address(this))
            );
    }

    /// @dev What is signed for a struct.
    function _digest(bytes32 separator, bytes32 structHash) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, hex"1901")
            mstore(add(free, 2), separator)
            mstore(add(free, 34), structHash)
            digest := keccak256(free, 66)
        }
    }

    /// @dev hashStruct of a message with one field, two, or three; keccak256(abi.encode(...)) without its copies.
    function _hash(bytes32 typeHash, bytes32 a) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            mstore(0, typeHash)
            mstore(32, a)
            result := keccak256(0, 64)
        }
    }

    function _hash(bytes32 typeHash, bytes32 a, uint256 b) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            mstore(add(free, 32), a)
            mstore(add(free, 64), b)
            result := keccak256(free, 96)
        }
    }

    function _hash(bytes32 typeHash, bytes32 a, uint256 b, uint256 c) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            mstore(add(free, 32), a)
            mstore(add(free, 64), b)
            mstore(add(free, 96), c)
            result := keccak256(free, 128)
        }
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        return (hex"0f", "Honorarium", "1", block.chainid, address(this), bytes32(0), new uint256[](0));
    }
}
