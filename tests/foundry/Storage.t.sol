// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Base} from "./Base.sol";

interface StorageCheats {
    function load(address account, bytes32 place) external view returns (bytes32);
}

/// @dev Where things lie, by docs/protocol.md: whoever reads a proof of the storage relies on it.
contract StorageTest is Base {
    function test_a_balance_lies_under_the_hash_of_token_and_account() external {
        address[3] memory tokens = [address(token), address(token), COIN];
        address[3] memory accounts = [CLIENT, STRANGER, CLIENT];
        token.mint(address(this), 2);
        token.approve(address(escrow), 2);
        CHEATS.deal(address(this), 7);
        escrow.deposit(address(token), STRANGER, 2);
        escrow.deposit{value: 7}(COIN, CLIENT, 7);
        CHEATS.prank(CLIENT);
        escrow.deposit(address(token), CLIENT, 5);
        uint256[3] memory amounts = [uint256(5), 2, 7];
        for (uint256 i = 0; i < 3; ++i) {
            bytes32 place = keccak256(abi.encodePacked(tokens[i], accounts[i]));
            _equal(uint256(StorageCheats(address(CHEATS)).load(address(escrow), place)), amounts[i], "stored");
            _equal(escrow.balanceOf(tokens[i], accounts[i]), amounts[i], "told");
        }
    }
}
