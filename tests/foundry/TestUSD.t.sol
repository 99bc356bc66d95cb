// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {TestUSD} from "../../contracts/TestUSD.sol";
import {Cheats} from "./Base.sol";
import {OneDigestWallet} from "./mocks/Wallets.sol";

contract TestUSDTest {
    Cheats private constant CHEATS = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    bytes32 private constant NONCE = keccak256("nonce");
    uint256 private constant AMOUNT = 40e6; // 40 tUSD

    TestUSD private token;
    OneDigestWallet private wallet;

    function setUp() external {
        token = new TestUSD();
        wallet = new OneDigestWallet();
        token.mint(address(wallet), AMOUNT);
        CHEATS.warp(1_000);
    }

    function test_deploys_on_both_local_chain_ids() external {
        CHEATS.chainId(1337);
        require(new TestUSD().decimals() == 6, "1337");
        CHEATS.chainId(31337);
        require(new TestUSD().decimals() == 6, "31337");
    }

    function test_refuses_every_other_chain(uint64 chainId) external {
        if (chainId == 1337 || chainId == 31337) return;
        CHEATS.chainId(chainId);
        CHEATS.expectRevert(abi.encodeWithSelector(TestUSD.LocalChainsOnly.selector, chainId));
        new TestUSD();
    }

    function test_a_contract_wallet_authorizes_by_erc1271() external {
        wallet.accept(_digest(AMOUNT, 0, 2_000));
        token.transferWithAuthorization(address(wallet), address(this), AMOUNT, 0, 2_000, NONCE, hex"01");
        require(token.balanceOf(address(this)) == AMOUNT, "not moved");
        require(token.authorizationState(address(wallet), NONCE), "not spent");
    }

    function test_a_contract_wallet_that_does_not_accept_moves_nothing() external {
        bytes32 digest = _digest(AMOUNT, 0, 2_000);
        CHEATS.expectRevert(
            abi.encodeWithSelector(TestUSD.AuthorizationSignatureInvalid.selector, address(wallet), digest)
        );
        token.transferWithAuthorization(address(wallet), address(this), AMOUNT, 0, 2_000, NONCE, hex"01");
    }

    function test_an_authorization_is_valid_strictly_between_its_two_times() external {
        CHEATS.expectRevert(abi.encodeWithSelector(TestUSD.AuthorizationNotYetValid.selector, 1_000, 1_000));
        token.transferWithAuthorization(address(wallet), address(this), AMOUNT, 1_000, 2_000, NONCE, hex"01");
        CHEATS.expectRevert(abi.encodeWithSelector(TestUSD.AuthorizationExpired.selector, 1_000, 1_000));
        token.transferWithAuthorization(address(wallet), address(this), AMOUNT, 0, 1_000, NONCE, hex"01");

        wallet.accept(_digest(AMOUNT, 999, 1_001));
        token.transferWithAuthorization(address(wallet), address(this), AMOUNT, 999, 1_001, NONCE, hex"01");
        require(token.balanceOf(address(this)) == AMOUNT, "not moved");
    }

    function _digest(uint256 value, uint256 validAfter, uint256 validBefore) private view returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                token.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(),
                address(wallet),
                address(this),
                value,
                validAfter,
                validBefore,
                NONCE
            )
        );
        return keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash));
    }
}
