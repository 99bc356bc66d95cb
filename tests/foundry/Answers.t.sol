// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {ISessionEscrow} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../contracts/libraries/Tokens.sol";
import {Base, Terms} from "./Base.sol";
import {AnsweringToken, MadeUpToken, PlainToken} from "./mocks/Tokens.sol";

/// @dev A wallet that says yes in so many bytes, and may revert with them.
contract TerseWallet {
    uint256 private immutable SIZE;
    bool private immutable REVERTS;

    constructor(uint256 size, bool reverts) {
        (SIZE, REVERTS) = (size, reverts);
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        (bytes4 yes, uint256 size, bool reverts) = (this.isValidSignature.selector, SIZE, REVERTS);
        assembly {
            mstore(0, yes)
            if reverts { revert(0, size) }
            return(0, size)
        }
    }
}

/// @dev Tells the separator of its domain in so many bytes, and may revert with them.
contract TerseDomainToken is PlainToken {
    bytes32 private immutable SEPARATOR;
    uint256 private immutable SIZE;
    bool private immutable REVERTS;

    constructor(bytes32 separator, uint256 size, bool reverts) {
        (SEPARATOR, SIZE, REVERTS) = (separator, size, reverts);
    }

    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        (bytes32 separator, uint256 size, bool reverts) = (SEPARATOR, SIZE, REVERTS);
        assembly {
            mstore(0, separator)
            if reverts { revert(0, size) }
            return(0, size)
        }
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256,
        uint256,
        bytes32,
        uint8,
        bytes32,
        bytes32
    ) external {
        _move(from, to, value);
    }
}

/// @dev Fails to pay, with the word for yes.
contract YesReverts is PlainToken {
    function transfer(address, uint256) external pure override returns (bool) {
        assembly {
            mstore(0, 1)
            revert(0, 32)
        }
    }
}

/// @dev What wallets and tokens answer, to the byte: an answer counts if the call went well and it is a whole word,
/// whatever lay where the answer goes.
contract AnswersTest is Base {
    bytes32 private constant YES = bytes32(IERC1271.isValidSignature.selector);
    bytes32 private constant SALT = keccak256("salt");

    // ------------------------------------------------------------------ wallets

    /// @dev A made-up token's separator lies where a wallet's answer goes; this one is the answer that means yes.
    function test_ESC11_a_wallet_says_yes_in_a_whole_word_of_its_own_and_not_by_what_a_token_said_before() external {
        MadeUpToken made = new MadeUpToken();
        made.pretend(YES);
        uint256[6] memory sizes = [uint256(0), 4, 31, 32, 33, 64];
        for (uint256 i = 0; i < 12; ++i) {
            bool reverts = i >= 6;
            uint256 size = sizes[i % 6];
            address wallet = address(new TerseWallet(size, reverts));
            Authorization memory a;
            (a.validBefore, a.signature) = (time + 1, "told before");
            bool accepted = !reverts && size >= 32;
            if (!accepted) CHEATS.expectRevert(_wrong(wallet, address(0)));
            escrow.depositWithAuthorization(address(made), wallet, 5, SALT, a);
            _equal(escrow.balanceOf(address(made), wallet), accepted ? 5 : 0, "balance");
        }
    }

    // ------------------------------------------------------------------ tokens

    function test_ESC13_a_token_whose_domain_is_told_by_a_failure_or_in_less_than_a_word_has_no_authorizations()
        external
    {
        bytes32 separator = keccak256("domain") & ~bytes32(uint256(0xff)); // 31 bytes of it are all of it
        uint256[6] memory sizes = [uint256(0), 31, 32, 33, 31, 32];
        for (uint256 i = 0; i < 6; ++i) {
            bool reverts = i >= 4;
            TerseDomainToken terse = new TerseDomainToken(separator, sizes[i], reverts);
            terse.mint(CLIENT, 5);
            Authorization memory a;
            a.validBefore = time + 1;
            bytes32 nonce = keccak256(abi.encode(keccak256("Deposit"), address(terse), CLIENT, SALT));
            bytes32 message = keccak256(
                abi.encode(_type(RECEIVE_TYPE), CLIENT, address(escrow), 5, a.validAfter, a.validBefore, nonce)
            );
            a.signature = _sign(CLIENT_KEY, _typed(separator, message));
            bool told = !reverts && sizes[i] >= 32;
            if (!told) {
                CHEATS.expectRevert(abi.encodeWithSelector(IErrors.TokenCallFailed.selector, address(terse)));
            }
            escrow.depositWithAuthorization(address(terse), CLIENT, 5, SALT, a);
            _equal(terse.balanceOf(address(escrow)), told ? 5 : 0, "arrived");
        }
    }

    function test_ESC8_a_token_that_reverts_with_yes_has_not_paid() external {
        PlainToken plain = new PlainToken();
        plain.mint(CLIENT, 2 * uint256(DEPOSIT));
        CHEATS.prank(CLIENT);
        plain.approve(address(escrow), 2 * uint256(DEPOSIT));
        CHEATS.prank(CLIENT);
        escrow.deposit(address(plain), CLIENT, DEPOSIT);
        Terms memory t = _interactions();
        t.token = address(plain);
        _open(t, DEPOSIT);
        CHEATS.etch(address(plain), type(YesReverts).runtimeCode);

        _expectEvent();
        emit ISessionEscrow.RefundCredited(_idOf(t), CLIENT, DEPOSIT - 1_500_000);
        _close(t, 1);
        CHEATS.expectRevert(
            abi.encodeWithSelector(IErrors.PaymentFailed.selector, address(plain), STRANGER, uint256(DEPOSIT))
        );
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(plain), DEPOSIT, STRANGER);
        _equal(escrow.balanceOf(address(plain), CLIENT), 2 * uint256(DEPOSIT) - 1_500_000, "balance");
    }

    /// @dev Finding a balance leaves the token's address and half of the owner's where the token's answer goes. Of this
    /// owner's, zeros over all but the last byte leave the word that means yes.
    function test_ESC8_a_token_that_answers_a_withdrawal_in_less_than_a_word_has_not_paid() external {
        address owner = address(uint160(1) << 64);
        AnsweringToken answering = new AnsweringToken();
        answering.mint(address(this), 5);
        answering.approve(address(escrow), 5);
        escrow.deposit(address(answering), owner, 5);
        answering.answerWith(0);
        for (uint256 size = 1; size < 32; ++size) {
            answering.answerIn(size);
            CHEATS.expectRevert(abi.encodeWithSelector(IErrors.PaymentFailed.selector, address(answering), STRANGER, 5));
            CHEATS.prank(owner);
            escrow.withdraw(address(answering), 5, STRANGER);
        }
        _equal(escrow.balanceOf(address(answering), owner), 5, "balance");
    }
}
