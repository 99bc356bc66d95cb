// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ISessionEscrow} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Mood, Persona, Trigger} from "./Persona.sol";

/// @dev What the ghost knows of a signature: whether there is one, whom it belongs to over the message that is expected,
/// and its s if that is in the upper half.
struct Pen {
    bool given;
    address by;
    bytes32 high;
}

/// @dev An EIP-3009 authorization, as the ghost sees it.
struct Grant {
    uint256 validAfter;
    uint256 validBefore;
    Pen pen;
}

/// @dev What a token does beside moving money.
enum Kind {
    None, // no token
    Coin,
    Dollar, // EIP-3009
    Plain,
    Blacklist,
    Hook,
    Fee
}

/// @title The ghost ledger: money
/// @dev The ghost says what the escrow must do. It is written from docs/rules.md with mappings, loops and the compiler's
/// checked arithmetic; it shares no code with contracts/ but the interface. Its functions take the caller and the coin
/// that came along, then what the escrow's functions take. They revert with the error that the escrow must revert with,
/// return what it must return, and emit what it must emit.
abstract contract GhostMoney is IErrors {
    address public immutable ESCROW;

    uint256 public time; // unix seconds
    mapping(address token => Kind) public kind;
    mapping(address token => mapping(address account => uint256)) public wallet; // who has what; the escrow too
    mapping(address token => mapping(address account => uint256)) public balanceOf; // what the escrow owes to whom
    mapping(address token => uint256) public surplus; // sent to the escrow by mistake
    mapping(address account => uint256) public nonces;
    mapping(address account => mapping(bytes32 nonce => bool)) public spent; // EIP-3009

    mapping(address account => address) public ownerOf; // of contract accounts
    mapping(address account => Mood) public moodOf;
    mapping(address account => bool) public blacklisted;

    bool private _receiving; // a token is moving money in

    /// @dev A call back in the middle of a payment, and what came of it.
    struct Nested {
        address account;
        Trigger trigger;
        bool insist;
        bool dry; // it fails for want of gas
        bytes call;
    }

    Nested private _nested;

    constructor(address escrow, uint256 time_) {
        (ESCROW, time) = (escrow, time_);
    }

    // ------------------------------------------------------------------ the world around

    function introduce(address token, Kind kind_) external {
        kind[token] = kind_;
    }

    function own(address account, address owner) external {
        ownerOf[account] = owner;
    }

    function mint(address token, address account, uint256 amount) external {
        wallet[token][account] += amount;
    }

    function donate(address token, uint256 amount) external {
        wallet[token][ESCROW] += amount;
        surplus[token] += amount;
    }

    function wait(uint256 until) external {
        time = until;
    }

    function feel(address account, Mood mood) external {
        moodOf[account] = mood;
    }

    function blacklist(address account, bool on) external {
        blacklisted[account] = on;
    }

    /// @dev The call back that `account` will make. `dry`: it fails for want of gas.
    function arm(address account, Trigger trigger, bytes calldata call, bool insist, bool dry) external {
        _nested = Nested(account, trigger, insist, dry, call);
    }

    function disarm() external {
        _nested.account = address(0);
    }

    // ------------------------------------------------------------------ ledger

    function deposit(address by, uint256 value, address token, address account, uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        if (account == address(0) || account == ESCROW) revert InvalidRecipient(account);
        _take(by, value, token, amount);
        balanceOf[token][account] += amount;
        emit ISessionEscrow.Deposited(token, account, by, amount);
    }

    function depositWithAuthorization(
        address,
        uint256,
        address token,
        address account,
        uint256 amount,
        bytes32 salt,
        Grant calldata grant
    ) external {
        if (amount == 0) revert ZeroAmount();
        _takeGranted(token, account, amount, keccak256(abi.encode(keccak256("Deposit"), token, account, salt)), grant);
        balanceOf[token][account] += amount;
        emit ISessionEscrow.Deposited(token, account, account, amount);
    }

    function withdraw(address by, uint256, address token, uint256 amount, address to) external {
        _withdraw(by, token, amount, to);
    }

    function withdrawFor(
        address,
        uint256,
        address account,
        address token,
        uint256 amount,
        address to,
        uint256 nonce,
        uint256 deadline,
        Pen calldata pen
    ) external {
        if (time > deadline) revert SignatureExpired(deadline, time);
        if (nonce != nonces[account]) revert WrongNonce(nonces[account], nonce);
        _signed(account, pen);
        nonces[account] += 1;
        _withdraw(account, token, amount, to);
    }

    function _withdraw(address account, address token, uint256 amount, address to) private {
        if (amount == 0) revert ZeroAmount();
        if (to == address(0) || to == ESCROW) revert InvalidRecipient(to);
        _debit(token, account, amount);
        emit ISessionEscrow.Withdrawn(token, account, to, amount);
        if (!_pay(token, to, amount, false)) revert PaymentFailed(token, to, amount);
    }

    function _debit(address token, address account, uint256 amount) internal {
        uint256 available = balanceOf[token][account];
        if (available < amount) revert BalanceTooSmall(account, amount, available);
        balanceOf[token][account] = available - amount;
    }

    // ------------------------------------------------------------------ ways in (ESC-13)

    function _take(address by, uint256 value, address token, uint256 amount) internal {
        if (kind[token] == Kind.Coin) {
            if (value != amount) revert WrongValue(amount, value);
            wallet[token][by] -= amount;
            wallet[token][ESCROW] += amount;
            return;
        }
        if (value != 0) revert WrongValue(0, value);
        if (_receiving) revert Reentered();
        _receiving = true;
        if (kind[token] == Kind.None) revert TokenWithoutCode(token);
        _arrive(token, by, amount);
        _receiving = false;
    }

    function _takeGranted(address token, address from, uint256 amount, bytes32 nonce, Grant calldata grant) internal {
        if (_receiving) revert Reentered();
        _receiving = true;
        if (kind[token] == Kind.None || kind[token] == Kind.Coin) revert TokenWithoutCode(token);
        if (kind[token] != Kind.Dollar) revert TokenCallFailed(token);
        _signed(from, grant.pen);
        bool inTime = grant.validAfter < time && time < grant.validBefore;
        if (!inTime || spent[from][nonce]) revert TokenCallFailed(token);
        spent[from][nonce] = true;
        _arrive(token, from, amount);
        _receiving = false;
    }

    function _arrive(address token, address from, uint256 amount) private {
        uint256 before = wallet[token][ESCROW];
        try this.move(token, from, ESCROW, amount, false) {}
        catch {
            revert TokenCallFailed(token);
        }
        uint256 present = wallet[token][ESCROW];
        uint256 received = present < before ? 0 : present - before;
        if (received != amount) revert AmountNotReceived(token, amount, received);
    }

    // ------------------------------------------------------------------ ways out

    function _pay(address token, address to, uint256 amount, bool pushed) internal returns (bool) {
        try this.move(token, ESCROW, to, amount, pushed) {
            return true;
        } catch {
            return false;
        }
    }

    /// @dev A call of its own, so that it moves everything or nothing. Only the ghost itself makes it.
    function move(address token, address from, address to, uint256 amount, bool pushed) external {
        require(msg.sender == address(this), "only the ghost");
        Kind k = kind[token];
        if (k == Kind.Hook) _callBack(from, Trigger.Sending);
        if (k == Kind.Blacklist) require(!blacklisted[from] && !blacklisted[to], "blacklisted");
        if (k == Kind.Coin) require(_takesCoin(to, pushed), "moody");
        wallet[token][from] -= amount;
        wallet[token][to] += k == Kind.Fee ? amount - amount / 100 : amount;
        if (k == Kind.Hook) _callBack(to, Trigger.Receiving);
        if (k == Kind.Coin) _callBack(to, Trigger.Coin);
    }

    function _takesCoin(address to, bool pushed) private view returns (bool) {
        if (kind[to] != Kind.None) return false; // a token
        Mood mood = moodOf[to];
        return mood == Mood.Fine || mood == Mood.Refuses || (mood == Mood.Greedy && !pushed);
    }

    function _callBack(address account, Trigger now_) private {
        if (account != _nested.account || now_ != _nested.trigger) return;
        _nested.account = address(0); // once
        if (_nested.dry) return;
        emit Persona.Began();
        (bool done, bytes memory answer) = address(this).call(_nested.call);
        emit Persona.Ended(done, keccak256(answer));
        require(done || !_nested.insist, "nested");
    }

    // ------------------------------------------------------------------ signatures

    /// @dev A key's own signature in the lower half; or what a contract account's owner signed, while it is in the mood.
    function _signed(address party, Pen calldata pen) internal view {
        if (!pen.given) {
            if (ownerOf[party] == address(0) && party != ESCROW) revert SignatureMissing(party);
            revert WrongSigner(party, address(0)); // asked, and told of nothing before
        }
        if (pen.by == party && pen.high == 0 && party != address(0)) return;
        if (ownerOf[party] != address(0)) {
            bool inTheMood = moodOf[party] == Mood.Fine || moodOf[party] == Mood.Greedy;
            if (inTheMood && pen.by == ownerOf[party]) return;
        } else if (party != ESCROW && pen.high != 0) {
            revert HighS(pen.high);
        }
        revert WrongSigner(party, pen.by);
    }

    /// @dev `party` calls, or signed. A signature that is given counts even if they call.
    function _consents(address by, address party, Pen calldata pen) internal view {
        if (by == party && !pen.given) return;
        _signed(party, pen);
    }
}
