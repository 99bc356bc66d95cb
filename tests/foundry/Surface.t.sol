// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {ISessionEscrow} from "../../contracts/interfaces/ISessionEscrow.sol";
import {ITipJar} from "../../contracts/interfaces/ITipJar.sol";
import {Base} from "./Base.sol";

/// @dev What can be called at all: the functions of the interfaces, and nothing that is meant for the inside.
contract SurfaceTest is Base {
    enum Known {
        Not,
        Declared,
        Found
    }

    mapping(bytes4 selector => Known) private known;

    function test_ESC9_the_escrow_answers_to_nothing_but_its_interface() external {
        bytes4[27] memory own = [
            ISessionEscrow.deposit.selector,
            ISessionEscrow.depositWithAuthorization.selector,
            ISessionEscrow.withdraw.selector,
            ISessionEscrow.withdrawFor.selector,
            ISessionEscrow.balanceOf.selector,
            ISessionEscrow.nonces.selector,
            ISessionEscrow.open.selector,
            ISessionEscrow.openWithAuthorization.selector,
            ISessionEscrow.openFromBalance.selector,
            ISessionEscrow.openBatch.selector,
            ISessionEscrow.revoke.selector,
            ISessionEscrow.topUp.selector,
            ISessionEscrow.topUpWithAuthorization.selector,
            ISessionEscrow.topUpFromBalance.selector,
            ISessionEscrow.settle.selector,
            ISessionEscrow.settleBatch.selector,
            ISessionEscrow.close.selector,
            ISessionEscrow.closeFor.selector,
            ISessionEscrow.closeBatch.selector,
            ISessionEscrow.requestClose.selector,
            ISessionEscrow.finalize.selector,
            ISessionEscrow.rate.selector,
            ISessionEscrow.answer.selector,
            ISessionEscrow.ratingOf.selector,
            ISessionEscrow.session.selector,
            ISessionEscrow.sessionIdOf.selector,
            ISessionEscrow.feeOf.selector
        ];
        bytes4 whole;
        for (uint256 i = 0; i < own.length; ++i) {
            known[own[i]] = Known.Declared;
            whole ^= own[i];
        }
        require(whole == type(ISessionEscrow).interfaceId, "a function is missing in this list");
        known[IERC5267.eip712Domain.selector] = Known.Declared;
        _answersToNothingElse(address(escrow), own.length + 1);
    }

    function test_the_jar_answers_to_nothing_but_its_interface() external {
        known[ITipJar.tip.selector] = Known.Declared;
        known[ITipJar.tipWithAuthorization.selector] = Known.Declared;
        _answersToNothingElse(_shipped("TipJar"), 2);
    }

    function test_the_token_answers_to_nothing_but_its_standards_and_minting() external {
        string[25] memory own = [
            "name()",
            "symbol()",
            "decimals()",
            "totalSupply()",
            "balanceOf(address)",
            "transfer(address,uint256)",
            "allowance(address,address)",
            "approve(address,uint256)",
            "transferFrom(address,address,uint256)",
            "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
            "nonces(address)",
            "DOMAIN_SEPARATOR()",
            "eip712Domain()",
            "mint(address,uint256)",
            "mintBatch(address[],uint256[])",
            "authorizationState(address,bytes32)",
            "TRANSFER_WITH_AUTHORIZATION_TYPEHASH()",
            "RECEIVE_WITH_AUTHORIZATION_TYPEHASH()",
            "CANCEL_AUTHORIZATION_TYPEHASH()",
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
            "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
            "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
            "cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)",
            "cancelAuthorization(address,bytes32,bytes)"
        ];
        for (uint256 i = 0; i < own.length; ++i) {
            known[bytes4(keccak256(bytes(own[i])))] = Known.Declared;
        }
        _answersToNothingElse(address(token), own.length);
    }

    /// @dev Each function's selector stands in the code as a constant of four bytes: so every such constant is called.
    /// Where there is no function, the call fails without a word.
    function _answersToNothingElse(address target, uint256 functions) private {
        bytes memory code = target.code;
        uint256 found;
        for (uint256 i = 0; i + 4 < code.length; ++i) {
            uint8 op = uint8(code[i]);
            if (op == 0x63) {
                bytes4 selector = bytes4(_word(code, i + 1));
                if (known[selector] == Known.Declared) {
                    known[selector] = Known.Found;
                    ++found;
                } else if (known[selector] == Known.Not) {
                    (bool done, bytes memory why) = target.call(abi.encodePacked(selector, new bytes(2_048)));
                    require(!done && why.length == 0, "something else answers");
                }
            }
            if (op >= 0x60 && op <= 0x7f) i += op - 0x5f; // PUSH1 to PUSH32 carry data
        }
        _equal(found, functions, "functions that the code knows");
    }

    function _word(bytes memory code, uint256 offset) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(code, 32), offset))
        }
    }
}
