// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Closing, Session, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Terms} from "../Base.sol";
import {PlainToken} from "../mocks/Tokens.sol";
import {Attack} from "./Attack.sol";

/// @dev How a recipient, or a token, takes a payment.
enum Taking {
    Easily,
    WithAllGas, // only if it gets all that it may use
    Never,
    BurningGas,
    Bombing
}

/// @dev A wallet of each kind for coin. `WithAllGas`: 50,000 and what the chain adds to a payment of coin.
contract Taker {
    Taking private taking;

    function become(Taking taking_) external {
        taking = taking_;
    }

    receive() external payable {
        uint256 given = gasleft();
        if (taking == Taking.WithAllGas) require(given > 52_000, "stinted");
        if (taking == Taking.Never) revert("never");
        if (taking == Taking.BurningGas) {
            assembly {
                invalid()
            }
        }
        if (taking == Taking.Bombing) {
            assembly {
                revert(0, 30000)
            }
        }
    }
}

/// @dev A token of each kind, for payments by the escrow.
contract TakingToken is PlainToken {
    Taking private taking;

    function become(Taking taking_) external {
        taking = taking_;
    }

    function transfer(address to, uint256 amount) external override returns (bool) {
        uint256 given = gasleft();
        if (taking == Taking.WithAllGas) require(given > 199_000, "stinted");
        if (taking == Taking.Never) revert("never");
        if (taking == Taking.BurningGas) {
            assembly {
                invalid()
            }
        }
        if (taking == Taking.Bombing) {
            assembly {
                revert(0, 30000)
            }
        }
        _move(msg.sender, to, amount);
        return true;
    }
}

/// @dev A wallet that says yes to its owner's signatures, if it gets all that a check may use.
contract StrictWallet {
    address private immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        require(gasleft() > 399_000, "stinted");
        return ECDSA.recover(digest, signature) == OWNER ? this.isValidSignature.selector : bytes4(0);
    }
}

/// @dev A relayer sends on purpose so little gas that something in the middle fails for want of it. At each level of
/// gas the call reverts whole, or does exactly what it does with plenty.
contract GasSweepsTest is Attack {
    uint256 private constant LEVELS = 200; // of gas, in each sweep
    uint80 private constant REFUND = DEPOSIT - 1_500_000;

    struct Sweep {
        address to;
        bytes data;
        address by;
        Terms terms;
        bool takes; // whether the payer takes what is pushed
        uint256 from; // gas
        uint256 until;
    }

    // ------------------------------------------------------------------ refunds

    /// @dev Wants a payer's refund in the escrow instead of in their wallet, by stinting on gas. `NotEnoughGas` or
    /// plainly none: the whole call reverts. Known from: x402 #2374, where gas was estimated on stale state.
    function test_coin_refunds_are_never_credited_because_a_relayer_stinted() external {
        for (uint256 i = 0; i < 5; ++i) {
            Taker taker = new Taker();
            CHEATS.deal(address(taker), 1 ether);
            Terms memory t = _interactions();
            (t.payer, t.token, t.salt) = (address(taker), COIN, uint96(i));
            _open(t, DEPOSIT);
            taker.become(Taking(i));
            _sweepAll(t, i < 2, 30_000, 200_000);
        }
    }

    /// @dev The same with tokens, where a push may use 200,000.
    function test_token_refunds_are_never_credited_because_a_relayer_stinted() external {
        for (uint256 i = 0; i < 5; ++i) {
            TakingToken taking = new TakingToken();
            taking.mint(CLIENT, DEPOSIT);
            CHEATS.prank(CLIENT);
            taking.approve(address(escrow), DEPOSIT);
            Terms memory t = _interactions();
            (t.token, t.salt) = (address(taking), uint96(i));
            _open(t, DEPOSIT);
            taking.become(Taking(i));
            _sweepAll(t, i < 2, 30_000, 400_000);
        }
    }

    /// @dev close, closeFor, closeBatch, and, after grace, finalize.
    function _sweepAll(Terms memory t, bool takes, uint256 from, uint256 until) private {
        Sweep memory s = Sweep(address(escrow), "", RELAYER, t, takes, from, until);
        s.data = abi.encodeCall(escrow.closeFor, (_closing(t, 1)));
        _sweep(s);
        Closing[] memory rows = new Closing[](1);
        rows[0] = _closing(t, 1);
        s.data = abi.encodeCall(escrow.closeBatch, (rows));
        _sweep(s);
        (s.by, s.data) = (ADVISOR, abi.encodeCall(escrow.close, (_settlement(t, 1))));
        _sweep(s);
        _settle(t, 1);
        _leave(t);
        _later(t.closeGrace);
        (s.by, s.data) = (RELAYER, abi.encodeCall(escrow.finalize, (_pack(t))));
        _sweep(s);
    }

    /// @dev The advisor's wallet is asked in each row, and the payer paid: two places to stint at. A row is never
    /// skipped for want of gas (ESC-16).
    function test_rows_are_never_skipped_because_a_relayer_stinted() external {
        Taker taker = new Taker();
        CHEATS.deal(address(taker), 1 ether);
        StrictWallet wallet = new StrictWallet(ADVISOR);
        keys[address(wallet)] = ADVISOR_KEY;
        Terms memory t = _interactions();
        (t.advisor, t.payer, t.token) = (address(wallet), address(taker), COIN);
        _open(t, DEPOSIT);
        taker.become(Taking.WithAllGas);
        for (uint256 count = 1; count <= 2; ++count) {
            Closing[] memory rows = new Closing[](count);
            for (uint256 i = 0; i < count; ++i) {
                rows[i] = _closing(t, 1);
            }
            bytes memory data = abi.encodeCall(escrow.closeBatch, (rows));
            _sweep(Sweep(address(escrow), data, RELAYER, t, true, 380_000, 900_000));
        }
    }

    // ------------------------------------------------------------------ withdrawals and tips

    /// @dev Wants a signed withdrawal spent without its money arriving. It reverts whole, or pays.
    function test_a_withdrawal_is_never_spent_without_paying_because_a_relayer_stinted() external {
        Taker taker = new Taker();
        taker.become(Taking.WithAllGas);
        CHEATS.prank(CLIENT);
        escrow.deposit{value: 5}(COIN, CLIENT, 5);
        bytes32 message =
            keccak256(abi.encode(_type(WITHDRAWAL_TYPE), CLIENT, COIN, uint256(5), address(taker), uint256(0), time));
        bytes memory signature = _sign(CLIENT_KEY, _digest(message));
        bytes memory out = abi.encodeCall(escrow.withdrawFor, (CLIENT, COIN, 5, address(taker), 0, time, signature));
        uint256 paid;
        for (uint256 gas_ = 20_000; gas_ < 200_000; gas_ += 1_000) {
            Seen memory seen = _attempt(address(escrow), out, gas_, address(taker));
            _equal(seen.coin, seen.done ? 5 : 0, "paid");
            _equal(seen.balance, seen.done ? 0 : 5, "left in the balance");
            if (seen.done) ++paid;
        }
        require(paid > 10, "never with enough gas");
    }

    /// @dev Wants a signed tip to stay in the jar half-way. It reverts whole, or arrives.
    function test_a_tip_is_never_spent_without_arriving_because_a_relayer_stinted() external {
        bytes32 nonce =
            keccak256(abi.encode(keccak256("Tip"), address(token), ADVISOR, bytes32(0), bytes32(0), bytes32(0)));
        Authorization memory a = _authorize(CLIENT_KEY, address(jar), 7, nonce);
        bytes memory tip = abi.encodeCall(jar.tipWithAuthorization, (CLIENT, ADVISOR, 0, address(token), 7, 0, 0, a));
        uint256 tipped;
        for (uint256 gas_ = 20_000; gas_ < 200_000; gas_ += 1_000) {
            Seen memory seen = _attempt(address(jar), tip, gas_, CLIENT);
            _equal(seen.tips, seen.done ? 7 : 0, "tipped");
            _equal(seen.kept, 0, "kept by the jar");
            if (seen.done) ++tipped;
        }
        require(tipped > 10, "never with enough gas");
    }

    struct Seen {
        bool done;
        uint256 coin; // of the taker
        uint256 tips; // of the advisor
        uint256 balance; // the client's, in coin
        uint256 kept; // by the jar
    }

    function _attempt(address to, bytes memory data, uint256 gas_, address taker) private returns (Seen memory seen) {
        try this.attempt(to, data, gas_, taker) {}
        catch (bytes memory answer) {
            seen = abi.decode(answer, (Seen));
        }
    }

    /// @dev Undoes itself by reverting with what it saw.
    function attempt(address to, bytes calldata data, uint256 gas_, address taker) external {
        Seen memory seen;
        (seen.done,) = to.call{gas: gas_}(data);
        (seen.coin, seen.tips) = (taker.balance, token.balanceOf(ADVISOR));
        (seen.balance, seen.kept) = (escrow.balanceOf(COIN, CLIENT), token.balanceOf(address(jar)));
        _revertWith(abi.encode(seen));
    }

    // ------------------------------------------------------------------ sweeping

    /// @dev Tries every level of gas from the same state, and looks at what was done.
    function _sweep(Sweep memory s) private {
        bool told;
        bool last;
        bytes32 id = _idOf(s.terms);
        for (uint256 gas_ = s.from; gas_ <= s.until; gas_ += (s.until - s.from) / LEVELS) {
            bytes memory why;
            (last, why) = _outcome(s, gas_, id);
            if (last) continue;
            require(why.length == 0 || bytes4(why) == IErrors.NotEnoughGas.selector, "refused for another reason");
            if (why.length != 0) told = true;
        }
        require(last, "never with enough gas");
        require(told, "NotEnoughGas was never told");
    }

    function _outcome(Sweep memory s, uint256 gas_, bytes32 id) private returns (bool done, bytes memory why) {
        uint256 before = _wealth(s.terms.token, s.terms.payer);
        try this.attemptToClose(s, gas_, id) {}
        catch (bytes memory answer) {
            Session memory seen;
            uint256 wallet;
            uint256 balance;
            (done, why, seen, wallet, balance) = abi.decode(answer, (bool, bytes, Session, uint256, uint256));
            if (!done) return (done, why);
            require(seen.status == Status.Closed && seen.earned == 1_500_000, "skipped for want of gas");
            _equal(wallet, s.takes ? before + REFUND : before, "in the wallet");
            _equal(balance, s.takes ? 0 : REFUND, "in the balance");
        }
    }

    /// @dev Undoes itself by reverting with what it saw.
    function attemptToClose(Sweep calldata s, uint256 gas_, bytes32 id) external {
        (address of_, address payer) = (s.terms.token, s.terms.payer);
        // As in a transaction of its own, where everybody is touched for the first time and costs more.
        address[4] memory touched = [address(escrow), of_, payer, s.terms.advisor];
        for (uint256 i = 0; i < 4; ++i) {
            if (touched[i] != COIN) MORE_CHEATS.cool(touched[i]);
        }
        CHEATS.prank(s.by);
        (bool done, bytes memory why) = s.to.call{gas: gas_}(s.data);
        _revertWith(abi.encode(done, why, escrow.session(id), _wealth(of_, payer), escrow.balanceOf(of_, payer)));
    }

    function _wealth(address of_, address account) private view returns (uint256) {
        return of_ == COIN ? account.balance : PlainToken(of_).balanceOf(account);
    }

    function _revertWith(bytes memory answer) private pure {
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}
