// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ISessionEscrow} from "../../../contracts/interfaces/ISessionEscrow.sol";

/// @dev The cheat codes that the prover knows too.
interface ProverCheats {
    function assume(bool condition) external pure;
    function envBytes(string calldata name) external view returns (bytes memory);
    function load(address account, bytes32 place) external view returns (bytes32);
    function prank(address sender) external;
    function store(address account, bytes32 place, bytes32 value) external;
    function warp(uint256 time) external;
}

/// @dev The prover's own.
interface SymbolicCheats {
    function enableSymbolicStorage(address account) external;
    function createUint256(string calldata name) external view returns (uint256);
    function createBytes(uint256 size, string calldata name) external view returns (bytes memory);
}

/// @dev Proofs about the shipped bytecode. Functions whose names begin with `check` are run by the prover for all values
/// of their arguments at once; an assertion that fails for any of them is reported with such values.
abstract contract Proofs {
    ProverCheats internal constant CHEATS = ProverCheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    SymbolicCheats internal constant SYMBOLIC = SymbolicCheats(address(uint160(uint256(keccak256("svm cheat code")))));

    ISessionEscrow internal escrow;

    function setUp() public virtual {
        escrow = ISessionEscrow(_create("ESCROW_CODE"));
    }

    function _create(string memory variable) internal returns (address created) {
        bytes memory code = CHEATS.envBytes(variable);
        assembly ("memory-safe") {
            created := create(0, add(code, 32), mload(code))
        }
        assert(created != address(0));
    }
}
