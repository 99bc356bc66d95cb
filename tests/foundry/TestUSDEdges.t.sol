// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {TestUSD} from "../../contracts/TestUSD.sol";
import {Base} from "./Base.sol";

/// @dev The shipped token's names, and its refusals to the last number in them.
contract TestUSDEdgesTest is Base {
    bytes32 private constant NONCE = keccak256("nonce");

    function test_the_token_is_called_Test_USD_and_tUSD() external view {
        _equal(bytes(token.name()), "Test USD", "name");
        _equal(bytes(token.symbol()), "tUSD", "symbol");
    }

    function test_a_chain_that_is_not_local_is_named_in_the_refusal() external {
        bytes memory code = _creation("TestUSD");
        CHEATS.chainId(8453);
        address deployed;
        bytes memory why = new bytes(36);
        uint256 size;
        assembly ("memory-safe") {
            deployed := create(0, add(code, 32), mload(code))
            size := returndatasize()
            returndatacopy(add(why, 32), 0, 36)
        }
        _equal(deployed, address(0), "deployed");
        _equal(size, 36, "size");
        _equal(why, abi.encodeWithSelector(TestUSD.LocalChainsOnly.selector, 8453), "why");
    }

    function test_an_authorization_is_refused_long_before_and_long_after_its_times_and_told_them() external {
        CHEATS.expectRevert(abi.encodeWithSelector(TestUSD.AuthorizationNotYetValid.selector, time + 1 days, time));
        token.transferWithAuthorization(CLIENT, STRANGER, 1, time + 1 days, time + 2 days, NONCE, "");
        CHEATS.expectRevert(abi.encodeWithSelector(TestUSD.AuthorizationExpired.selector, time - 1 days, time));
        token.transferWithAuthorization(CLIENT, STRANGER, 1, time - 2 days, time - 1 days, NONCE, "");
    }

    /// @dev What recovers to nobody is not the signature of the account that is nobody's.
    function test_nobody_cancels_for_the_zero_address() external {
        bytes32 message = keccak256(abi.encode(token.CANCEL_AUTHORIZATION_TYPEHASH(), address(0), NONCE));
        bytes32 digest = _typed(token.DOMAIN_SEPARATOR(), message);
        bytes[3] memory signatures = [bytes(""), new bytes(65), _sign(STRANGER_KEY, digest)];
        for (uint256 i = 0; i < 3; ++i) {
            CHEATS.expectRevert(
                abi.encodeWithSelector(TestUSD.AuthorizationSignatureInvalid.selector, address(0), digest)
            );
            token.cancelAuthorization(address(0), NONCE, signatures[i]);
        }
        require(!token.authorizationState(address(0), NONCE), "canceled");
    }
}
