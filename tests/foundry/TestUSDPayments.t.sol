// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {TestUSD} from "../../contracts/TestUSD.sol";
import {Base} from "./Base.sol";
import {OneDigestWallet, OwnedWallet} from "./mocks/Wallets.sol";

/// @dev Minting and EIP-3009 of the token that local chains use, as shipped. Its constructor and the exact seconds of an
/// authorization: TestUSD.t.sol.
contract TestUSDPaymentsTest is Base {
    uint256 private constant AMOUNT = 40e6; // 40 tUSD
    bytes32 private constant NONCE = keccak256("nonce");
    string private constant TRANSFER_TYPE =
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";
    string private constant CANCEL_TYPE = "CancelAuthorization(address authorizer,bytes32 nonce)";

    // ------------------------------------------------------------------ minting

    function test_anyone_mints_for_anyone() external {
        uint256 supply = token.totalSupply();
        CHEATS.expectEmit(address(token));
        emit IERC20.Transfer(address(0), STRANGER, AMOUNT);
        CHEATS.prank(RELAYER);
        token.mint(STRANGER, AMOUNT);
        _equal(token.balanceOf(STRANGER), AMOUNT, "balance");
        _equal(token.totalSupply(), supply + AMOUNT, "supply");
        _equal(token.decimals(), 6, "decimals");
    }

    function test_nothing_is_minted_for_nobody() external {
        bytes memory why = abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0));
        CHEATS.expectRevert(why);
        token.mint(address(0), AMOUNT);
        CHEATS.expectRevert(why);
        token.mintBatch(new address[](1), new uint256[](1));
    }

    function test_a_batch_mints_to_each_account_its_amount() external {
        address[] memory accounts = new address[](3);
        uint256[] memory amounts = new uint256[](3);
        (accounts[0], accounts[1], accounts[2]) = (STRANGER, ADVISOR, STRANGER);
        (amounts[0], amounts[1], amounts[2]) = (1, 20, 300);
        token.mintBatch(accounts, amounts);
        _equal(token.balanceOf(STRANGER), 301, "twice in the batch");
        _equal(token.balanceOf(ADVISOR), 20, "once");
        uint256 supply = token.totalSupply();
        token.mintBatch(new address[](0), new uint256[](0));
        _equal(token.totalSupply(), supply, "empty");
    }

    function test_a_batch_needs_one_amount_for_each_account() external {
        CHEATS.expectRevert(abi.encodeWithSelector(TestUSD.BatchLengthsDiffer.selector, 2, 1));
        token.mintBatch(new address[](2), new uint256[](1));
        CHEATS.expectRevert(abi.encodeWithSelector(TestUSD.BatchLengthsDiffer.selector, 0, 1));
        token.mintBatch(new address[](0), new uint256[](1));
    }

    function test_the_shipped_bytecode_deploys_on_local_chains_alone() external {
        this.deploy(1337);
        this.deploy(31337);
        uint256[4] memory others = [uint256(1), 1336, 1338, 31338];
        for (uint256 i = 0; i < 4; ++i) {
            try this.deploy(others[i]) {
                revert("deployed");
            } catch {}
        }
    }

    function deploy(uint256 chain) external {
        CHEATS.chainId(chain);
        _shipped("TestUSD");
    }

    // ------------------------------------------------------------------ authorizations to transfer

    function test_anyone_sends_a_transfer_authorization_in_both_its_forms_and_each_counts_once() external {
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory call = _transferCall(bytes32(i), i == 0);
            CHEATS.expectEmit(address(token));
            emit TestUSD.AuthorizationUsed(CLIENT, bytes32(i));
            CHEATS.expectEmit(address(token));
            emit IERC20.Transfer(CLIENT, STRANGER, AMOUNT);
            _sent(RELAYER, call);
            require(token.authorizationState(CLIENT, bytes32(i)), "not spent");
            _notSent(RELAYER, call, _spent(bytes32(i)));
        }
        _equal(token.balanceOf(STRANGER), 2 * AMOUNT, "moved");
    }

    function test_a_transfer_authorization_is_for_its_payer_recipient_amount_times_and_nonce() external {
        (uint8 v, bytes32 r, bytes32 s) = CHEATS.sign(CLIENT_KEY, _transferDigest(NONCE));
        bytes memory signature = abi.encodePacked(r, s, v);
        for (uint256 i = 0; i < 6; ++i) {
            try token.transferWithAuthorization(
                i == 0 ? SPONSOR : CLIENT,
                i == 1 ? RELAYER : STRANGER,
                i == 2 ? AMOUNT + 1 : AMOUNT,
                i == 3 ? time - 2 : time - 1,
                i == 4 ? time + 2 : time + 1,
                i == 5 ? bytes32(0) : NONCE,
                signature
            ) {
                revert("moved");
            } catch (bytes memory why) {
                require(bytes4(why) == TestUSD.AuthorizationSignatureInvalid.selector, "refused for another reason");
            }
        }
        require(!token.authorizationState(CLIENT, NONCE), "spent");
    }

    function test_an_authorization_for_more_than_the_wallet_holds_moves_nothing_and_is_not_spent() external {
        uint256 all = token.balanceOf(CLIENT);
        CHEATS.prank(CLIENT);
        token.transfer(SPONSOR, all - AMOUNT + 1);
        bytes memory call = _transferCall(NONCE, true);
        bytes memory why =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, CLIENT, AMOUNT - 1, AMOUNT);
        _notSent(RELAYER, call, why);
        require(!token.authorizationState(CLIENT, NONCE), "spent");
        token.mint(CLIENT, 1);
        _sent(RELAYER, call);
        _equal(token.balanceOf(CLIENT), 0, "to the last unit");
    }

    function test_the_mirror_image_and_the_short_form_of_a_signature_authorize_nothing() external {
        bytes32 digest = _transferDigest(NONCE);
        (bytes memory high,) = _signHigh(CLIENT_KEY, digest);
        bytes[3] memory signatures = [high, _sign64(CLIENT_KEY, digest), bytes("")];
        for (uint256 i = 0; i < 3; ++i) {
            CHEATS.expectRevert(_invalid(CLIENT, digest));
            token.transferWithAuthorization(CLIENT, STRANGER, AMOUNT, time - 1, time + 1, NONCE, signatures[i]);
        }
    }

    function test_an_account_with_a_key_and_code_authorizes_with_either() external {
        OwnedWallet code = new OwnedWallet(STRANGER);
        CHEATS.etch(CLIENT, address(code).code);
        _sent(RELAYER, _transferCall(NONCE, true)); // the key
        bytes memory signature = _sign(STRANGER_KEY, _transferDigest("other")); // what the code accepts
        token.transferWithAuthorization(CLIENT, STRANGER, AMOUNT, time - 1, time + 1, "other", signature);
        _equal(token.balanceOf(STRANGER), 2 * AMOUNT, "moved");
        bytes32 digest = _transferDigest("another");
        CHEATS.expectRevert(_invalid(CLIENT, digest));
        token.transferWithAuthorization(
            CLIENT, STRANGER, AMOUNT, time - 1, time + 1, "another", _sign(SPONSOR_KEY, digest)
        );
    }

    // ------------------------------------------------------------------ authorizations to receive

    function test_a_receive_authorization_in_both_its_forms_serves_its_recipient_alone() external {
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory call = _receiveCall(CLIENT_KEY, bytes32(i), i == 0);
            _notSent(RELAYER, call, abi.encodeWithSelector(TestUSD.CallerNotRecipient.selector, STRANGER, RELAYER));
            CHEATS.expectEmit(address(token));
            emit TestUSD.AuthorizationUsed(CLIENT, bytes32(i));
            _sent(STRANGER, call);
            _notSent(STRANGER, call, _spent(bytes32(i)));
        }
        _equal(token.balanceOf(STRANGER), 2 * AMOUNT, "moved");
    }

    function test_a_receive_authorization_of_somebody_else_moves_nothing() external {
        bytes32 digest = _digestOf(RECEIVE_TYPE, NONCE);
        _notSent(STRANGER, _receiveCall(SPONSOR_KEY, NONCE, true), _invalid(CLIENT, digest));
        _notSent(STRANGER, _receiveCall(SPONSOR_KEY, NONCE, false), _invalid(CLIENT, digest));
    }

    function test_a_receive_authorization_is_valid_strictly_between_its_two_times() external {
        bytes memory call = _receiveCall(CLIENT_KEY, NONCE, true);
        uint256 start = time;
        _at(start - 1);
        _notSent(
            STRANGER, call, abi.encodeWithSelector(TestUSD.AuthorizationNotYetValid.selector, start - 1, start - 1)
        );
        _at(start + 1);
        _notSent(STRANGER, call, abi.encodeWithSelector(TestUSD.AuthorizationExpired.selector, start + 1, start + 1));
        _at(start);
        _sent(STRANGER, call);
    }

    function test_neither_kind_of_authorization_stands_for_the_other() external {
        bytes memory signature = _sign(CLIENT_KEY, _digestOf(RECEIVE_TYPE, NONCE));
        CHEATS.expectRevert(_invalid(CLIENT, _transferDigest(NONCE)));
        token.transferWithAuthorization(CLIENT, STRANGER, AMOUNT, time - 1, time + 1, NONCE, signature);
        signature = _sign(CLIENT_KEY, _transferDigest(NONCE));
        CHEATS.expectRevert(_invalid(CLIENT, _digestOf(RECEIVE_TYPE, NONCE)));
        CHEATS.prank(STRANGER);
        token.receiveWithAuthorization(CLIENT, STRANGER, AMOUNT, time - 1, time + 1, NONCE, signature);
    }

    // ------------------------------------------------------------------ cancelling

    function test_a_canceled_authorization_in_both_its_forms_moves_nothing() external {
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 nonce = bytes32(i);
            bytes memory call = _cancelCall(CLIENT_KEY, nonce, i == 0);
            CHEATS.expectEmit(address(token));
            emit TestUSD.AuthorizationCanceled(CLIENT, nonce);
            _sent(RELAYER, call);
            require(token.authorizationState(CLIENT, nonce), "not spent");
            _notSent(RELAYER, _transferCall(nonce, true), _spent(nonce));
            _notSent(RELAYER, call, _spent(nonce));
        }
        require(!token.authorizationState(SPONSOR, 0), "another's nonce");
    }

    function test_a_used_authorization_is_not_canceled() external {
        _sent(RELAYER, _transferCall(NONCE, true));
        _notSent(RELAYER, _cancelCall(CLIENT_KEY, NONCE, true), _spent(NONCE));
    }

    function test_nobody_cancels_anothers_authorization() external {
        bytes32 digest = _digestInToken(keccak256(abi.encode(_type(CANCEL_TYPE), CLIENT, NONCE)));
        _notSent(CLIENT, _cancelCall(STRANGER_KEY, NONCE, true), _invalid(CLIENT, digest));
        _notSent(CLIENT, _cancelCall(STRANGER_KEY, NONCE, false), _invalid(CLIENT, digest));
        require(!token.authorizationState(CLIENT, NONCE), "spent");
    }

    function test_a_contract_wallet_cancels_by_erc1271() external {
        OneDigestWallet wallet = new OneDigestWallet();
        wallet.accept(_digestInToken(keccak256(abi.encode(_type(CANCEL_TYPE), address(wallet), NONCE))));
        token.cancelAuthorization(address(wallet), NONCE, hex"01");
        require(token.authorizationState(address(wallet), NONCE), "not spent");
    }

    function test_the_type_hashes_of_authorizations_are_those_of_their_type_strings() external view {
        _equal(token.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(), _type(TRANSFER_TYPE), "transfer");
        _equal(token.RECEIVE_WITH_AUTHORIZATION_TYPEHASH(), _type(RECEIVE_TYPE), "receive");
        _equal(token.CANCEL_AUTHORIZATION_TYPEHASH(), _type(CANCEL_TYPE), "cancel");
    }

    // ------------------------------------------------------------------ helpers

    function _digestInToken(bytes32 message) private view returns (bytes32) {
        return _typed(_separatorOf("Test USD", block.chainid, address(token)), message);
    }

    /// @dev From the client to the stranger, valid in this second alone.
    function _digestOf(string memory kind, bytes32 nonce) private view returns (bytes32) {
        return _digestInToken(keccak256(abi.encode(_type(kind), CLIENT, STRANGER, AMOUNT, time - 1, time + 1, nonce)));
    }

    function _transferDigest(bytes32 nonce) private view returns (bytes32) {
        return _digestOf(TRANSFER_TYPE, nonce);
    }

    function _transferCall(bytes32 nonce, bool split) private view returns (bytes memory) {
        return _paymentCall("transferWithAuthorization", CLIENT_KEY, _transferDigest(nonce), nonce, split);
    }

    function _receiveCall(uint256 key, bytes32 nonce, bool split) private view returns (bytes memory) {
        return _paymentCall("receiveWithAuthorization", key, _digestOf(RECEIVE_TYPE, nonce), nonce, split);
    }

    /// @dev `split`: the form with v, r and s; else with bytes.
    function _paymentCall(string memory name, uint256 key, bytes32 digest, bytes32 nonce, bool split)
        private
        view
        returns (bytes memory)
    {
        string memory start = string.concat(name, "(address,address,uint256,uint256,uint256,bytes32,");
        bytes memory payment = abi.encode(CLIENT, STRANGER, AMOUNT, time - 1, time + 1, nonce);
        (uint8 v, bytes32 r, bytes32 s) = CHEATS.sign(key, digest);
        if (split) {
            return
                bytes.concat(
                    bytes4(_type(string.concat(start, "uint8,bytes32,bytes32)"))), payment, abi.encode(v, r, s)
                );
        }
        bytes memory tail = abi.encode(7 * 32, 65, r, s, bytes32(bytes1(v)));
        return bytes.concat(bytes4(_type(string.concat(start, "bytes)"))), payment, tail);
    }

    function _cancelCall(uint256 key, bytes32 nonce, bool split) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) =
            CHEATS.sign(key, _digestInToken(keccak256(abi.encode(_type(CANCEL_TYPE), CLIENT, nonce))));
        if (!split) {
            return abi.encodeWithSignature(
                "cancelAuthorization(address,bytes32,bytes)", CLIENT, nonce, abi.encodePacked(r, s, v)
            );
        }
        return
            abi.encodeWithSignature(
                "cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)", CLIENT, nonce, v, r, s
            );
    }

    function _spent(bytes32 nonce) private view returns (bytes memory) {
        return abi.encodeWithSelector(TestUSD.AuthorizationSpent.selector, CLIENT, nonce);
    }

    function _invalid(address account, bytes32 digest) private pure returns (bytes memory) {
        return abi.encodeWithSelector(TestUSD.AuthorizationSignatureInvalid.selector, account, digest);
    }

    function _sent(address by, bytes memory call) private {
        CHEATS.prank(by);
        (bool done,) = address(token).call(call);
        require(done, "refused");
    }

    function _notSent(address by, bytes memory call, bytes memory expected) private {
        CHEATS.prank(by);
        (bool done, bytes memory why) = address(token).call(call);
        require(!done, "done");
        _equal(why, expected, "why");
    }
}
