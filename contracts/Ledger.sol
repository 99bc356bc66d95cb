// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Domain} from "./Domain.sol";
import {ISessionEscrow} from "./interfaces/ISessionEscrow.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Authorization, Tokens} from "./libraries/Tokens.sol";

/// @title What the escrow owes to whom, and every way in and out of it
abstract contract Ledger is Domain, ISessionEscrow {
    bytes32 private constant WITHDRAWAL_TYPEHASH =
        keccak256("Withdrawal(address account,address token,uint256 amount,address to,uint256 nonce,uint256 deadline)");

    struct Balance {
        uint256 amount; // base units
    }

    mapping(address account => uint256) public nonces;

    /// @dev 2 while a token moves money in. Only ways in look at it: two of them at once could count the same arrival
    /// twice. On the way out everything is written before the token is called.
    uint256 private _receiving = 1;

    modifier receiving() {
        if (_receiving != 1) revert Reentered();
        _receiving = 2;
        _;
        _receiving = 1;
    }

    // ------------------------------------------------------------------ in

    /// @inheritdoc ISessionEscrow
    function deposit(address token, address account, uint256 amount) external payable {
        if (amount == 0) revert ZeroAmount();
        if (account == address(0) || account == address(this)) revert InvalidRecipient(account);
        _take(token, msg.sender, amount);
        _credit(token, account, amount);
        emit Deposited(token, account, msg.sender, amount);
    }

    /// @inheritdoc ISessionEscrow
    function depositWithAuthorization(
        address token,
        address account,
        uint256 amount,
        bytes32 salt,
        Authorization calldata authorization
    ) external {
        if (amount == 0) revert ZeroAmount();
        bytes32 nonce = keccak256(abi.encode(keccak256("Deposit"), token, account, salt));
        _takeAuthorized(token, account, amount, nonce, authorization);
        _credit(token, account, amount);
        emit Deposited(token, account, account, amount);
    }

    /// @dev From the caller's wallet: coin that came along, or tokens by allowance (ESC-13).
    function _take(address token, address from, uint256 amount) internal {
        if (token == address(0)) {
            if (msg.value != amount) revert WrongValue(amount, msg.value);
            return;
        }
        if (msg.value != 0) revert WrongValue(0, msg.value);
        _pull(token, from, amount);
    }

    function _pull(address token, address from, uint256 amount) private receiving {
        Tokens.pull(token, from, address(this), amount);
    }

    /// @dev By EIP-3009 (ESC-13).
    function _takeAuthorized(
        address token,
        address from,
        uint256 amount,
        bytes32 nonce,
        Authorization calldata authorization
    ) internal receiving {
        Tokens.receiveAuthorized(token, from, amount, nonce, authorization);
    }

    // ------------------------------------------------------------------ out

    /// @inheritdoc ISessionEscrow
    function withdraw(address token, uint256 amount, address to) external {
        _withdraw(msg.sender, token, amount, to);
    }

    /// @inheritdoc ISessionEscrow
    function withdrawFor(
        address account,
        address token,
        uint256 amount,
        address to,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external {
        if (block.timestamp > deadline) revert SignatureExpired(deadline, block.timestamp);
        if (nonce != nonces[account]) revert WrongNonce(nonces[account], nonce);
        bytes32 message = keccak256(abi.encode(WITHDRAWAL_TYPEHASH, account, token, amount, to, nonce, deadline));
        bytes memory why = Signatures.refusal(account, _digest(_separator(), message), signature);
        if (why.length != 0) Tokens.revertWith(why);
        nonces[account] = nonce + 1;
        _withdraw(account, token, amount, to);
    }

    function _withdraw(address account, address token, uint256 amount, address to) private {
        if (amount == 0) revert ZeroAmount();
        if (to == address(0) || to == address(this)) revert InvalidRecipient(to);
        bytes memory why = _debit(token, account, amount);
        if (why.length != 0) Tokens.revertWith(why);
        emit Withdrawn(token, account, to, amount);
        if (!Tokens.pay(token, to, amount)) revert PaymentFailed(token, to, amount);
    }

    // ------------------------------------------------------------------ within

    /// @inheritdoc ISessionEscrow
    function balanceOf(address token, address account) public view returns (uint256) {
        return _balance(token, account).amount;
    }

    function _credit(address token, address account, uint256 amount) internal {
        _balance(token, account).amount += amount;
    }

    /// @dev Takes `amount` out of a balance, or says why not.
    function _debit(address token, address account, uint256 amount) internal returns (bytes memory why) {
        Balance storage balance = _balance(token, account);
        uint256 available = balance.amount;
        if (available < amount) return abi.encodeWithSelector(BalanceTooSmall.selector, account, amount, available);
        unchecked {
            balance.amount = available - amount;
        }
    }

    /// @dev Balances lie under keccak256(token ++ account): one hash where nested mappings need two. What is hashed has
    /// 40 bytes, and what Solidity hashes for a mapping has 64, so that no two places fall together.
    function _balance(address token, address account) private pure returns (Balance storage balance) {
        assembly ("memory-safe") {
            mstore(0, shl(96, token))
            mstore(20, shl(96, account))
            balance.slot := keccak256(0, 40)
        }
    }

    /// @dev Empty if `party` calls, or signed `digest`; else why not. A signature that is given is always checked.
    function _unsigned(address party, bytes32 digest, bytes calldata signature)
        internal
        view
        returns (bytes memory why)
    {
        if (signature.length != 0 || msg.sender != party) {
            why = Signatures.refusal(party, digest, signature);
        }
    }

    function _mustBeSigned(address party, bytes32 digest, bytes calldata signature) internal view {
        bytes memory why = _unsigned(party, digest, signature);
        if (why.length != 0) Tokens.revertWith(why);
    }
}
