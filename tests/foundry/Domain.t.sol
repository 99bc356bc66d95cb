// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {Base} from "./Base.sol";

/// @dev What anybody can read about the contract itself.
contract DomainTest is Base {
    function test_the_domain_is_readable_and_the_ids_are_made_under_it() external {
        _domainIs(31337);
        _equal(escrow.sessionIdOf(_pack(_terms())), _idOf(_terms()), "id");
        CHEATS.chainId(9);
        _domainIs(9);
        _equal(escrow.sessionIdOf(_pack(_terms())), _idOf(_terms()), "id");
    }

    function test_ESC9_nothing_in_the_code_delegates_or_destroys() external view {
        bytes memory code = address(escrow).code;
        require(code.length > 10_000 && code.length <= 24_576, "size");
        for (uint256 i = 0; i < code.length; ++i) {
            uint8 op = uint8(code[i]);
            if (op >= 0x60 && op <= 0x7f) i += op - 0x5f; // PUSH1 to PUSH32 carry data
            else require(op != 0xf2 && op != 0xf4 && op != 0xff && op != 0xf0 && op != 0xf5, "owner's tools");
        }
    }

    function test_ESC9_nobody_has_a_function_of_an_owner() external {
        string[8] memory names = [
            "owner()",
            "transferOwnership(address)",
            "pause()",
            "unpause()",
            "upgradeTo(address)",
            "upgradeToAndCall(address,bytes)",
            "sweep(address)",
            "initialize()"
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            // From the deployer as well, which this test is.
            (bool done,) = address(escrow).call(abi.encodePacked(bytes4(keccak256(bytes(names[i]))), new bytes(128)));
            require(!done, names[i]);
        }
    }

    function _domainIs(uint256 chain) private view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifier,
            bytes32 salt,
            uint256[] memory extensions
        ) = IERC5267(address(escrow)).eip712Domain();
        require(fields == 0x0f && salt == 0 && extensions.length == 0, "fields");
        _equal(bytes(name), "Honorarium", "name");
        _equal(bytes(version), "1", "version");
        _equal(chainId, chain, "chain");
        _equal(verifier, address(escrow), "verifier");
    }
}
