// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title TestUSD
/// @notice A stablecoin for local chains: 6 decimals, free to mint, with the signed ways to pay that real
/// stablecoins have: EIP-2612 permits and EIP-3009 authorizations.
/// @dev Warning: anyone may mint, so the constructor refuses every chain but the local ones.
contract TestUSD is ERC20, ERC20Permit {
    // ---------------------------------------------------------------------------------------------- errors

    /// @notice This token has no value and must not appear on a chain that is not local.
    error LocalChainsOnly(uint256 chainId);

    /// @notice A batch needs one amount for each account.
    error BatchLengthsDiffer(uint256 accounts, uint256 amounts);

    /// @notice A receive authorization is only for its recipient to use.
    error CallerNotRecipient(address recipient, address caller);

    /// @notice The authorization may be used only after `validAfter`; both in unix seconds.
    error AuthorizationNotYetValid(uint256 validAfter, uint256 currentTime);

    /// @notice The authorization could be used only before `validBefore`; both in unix seconds.
    error AuthorizationExpired(uint256 validBefore, uint256 currentTime);

    /// @notice The nonce was used or canceled before.
    error AuthorizationSpent(address authorizer, bytes32 nonce);

    /// @notice The signature is not the authorizer's for this message.
    error AuthorizationSignatureInvalid(address authorizer, bytes32 digest);

    // ---------------------------------------------------------------------------------------------- events

    /// @notice Tokens were moved by an authorization.
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);

    /// @notice An authorization was made unusable by its authorizer.
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    // ----------------------------------------------------------------------------------------- message types

    bytes32 public constant TRANSFER_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    bytes32 public constant RECEIVE_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    bytes32 public constant CANCEL_AUTHORIZATION_TYPEHASH =
        keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    // ----------------------------------------------------------------------------------------------- storage

    /// @notice True once the authorizer's nonce was used or canceled.
    mapping(address authorizer => mapping(bytes32 nonce => bool)) public authorizationState;

    constructor() ERC20("Test USD", "tUSD") ERC20Permit("Test USD") {
        if (block.chainid != 1337 && block.chainid != 31337) revert LocalChainsOnly(block.chainid);
    }

    /// @notice One token is 10^6 base units.
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    // ----------------------------------------------------------------------------------------------- minting

    /// @notice Creates `amount` base units for `account`. Open to everyone.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    /// @notice Creates `amounts[i]` base units for `accounts[i]`, for all i. Open to everyone.
    function mintBatch(address[] calldata accounts, uint256[] calldata amounts) external {
        if (accounts.length != amounts.length) revert BatchLengthsDiffer(accounts.length, amounts.length);
        for (uint256 i = 0; i < accounts.length; i++) {
            _mint(accounts[i], amounts[i]);
        }
    }

    // ---------------------------------------------------------------------------------------------- EIP-3009

    /// @notice Moves `value` base units from `from` to `to` on the signature of `from`; anyone may submit it.
    /// @param validAfter unix seconds; usable only later than this
    /// @param validBefore unix seconds; usable only earlier than this
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        transferWithAuthorization(from, to, value, validAfter, validBefore, nonce, abi.encodePacked(r, s, v));
    }

    /// @notice As above, with the signature as bytes, which may also be a contract's (ERC-1271).
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) public {
        _useAuthorization(
            TRANSFER_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce, signature
        );
    }

    /// @notice Moves `value` base units from `from` to the caller, who must be `to`, on the signature of `from`:
    /// nobody can take the signature out of the caller's transaction and spend it alone.
    /// @param validAfter unix seconds; usable only later than this
    /// @param validBefore unix seconds; usable only earlier than this
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        receiveWithAuthorization(from, to, value, validAfter, validBefore, nonce, abi.encodePacked(r, s, v));
    }

    /// @notice As above, with the signature as bytes, which may also be a contract's (ERC-1271).
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) public {
        if (msg.sender != to) revert CallerNotRecipient(to, msg.sender);
        _useAuthorization(
            RECEIVE_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce, signature
        );
    }

    /// @notice Makes an unused nonce of `authorizer` unusable, on their signature.
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external {
        cancelAuthorization(authorizer, nonce, abi.encodePacked(r, s, v));
    }

    /// @notice As above, with the signature as bytes, which may also be a contract's (ERC-1271).
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes memory signature) public {
        bytes32 structHash = keccak256(abi.encode(CANCEL_AUTHORIZATION_TYPEHASH, authorizer, nonce));
        _spendNonce(authorizer, nonce, structHash, signature);
        emit AuthorizationCanceled(authorizer, nonce);
    }

    function _useAuthorization(
        bytes32 typehash,
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) private {
        if (block.timestamp <= validAfter) {
            revert AuthorizationNotYetValid(validAfter, block.timestamp);
        }
        if (block.timestamp >= validBefore) revert AuthorizationExpired(validBefore, block.timestamp);
        bytes32 structHash = keccak256(abi.encode(typehash, from, to, value, validAfter, validBefore, nonce));
        _spendNonce(from, nonce, structHash, signature);
        emit AuthorizationUsed(from, nonce);
        _transfer(from, to, value);
    }

    function _spendNonce(address authorizer, bytes32 nonce, bytes32 structHash, bytes memory signature) private {
        if (authorizationState[authorizer][nonce]) revert AuthorizationSpent(authorizer, nonce);
        bytes32 digest = _hashTypedDataV4(structHash);
        if (!_signed(authorizer, digest, signature)) revert AuthorizationSignatureInvalid(authorizer, digest);
        authorizationState[authorizer][nonce] = true;
    }

    /// @dev ECDSA comes first, because an ordinary account may carry code too (EIP-7702).
    function _signed(address account, bytes32 digest, bytes memory signature) private view returns (bool) {
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecover(digest, signature);
        if (problem == ECDSA.RecoverError.NoError && recovered == account) return true;
        return account.code.length != 0 && SignatureChecker.isValidERC1271SignatureNow(account, digest, signature);
    }
}
