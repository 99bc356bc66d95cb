// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Slot} from "../libraries/Slot.sol";
import {PackedTerms} from "../libraries/Terms.sol";
import {Authorization} from "../libraries/Tokens.sol";
import {IErrors} from "./IErrors.sol";

/// @notice A signed, cumulative meter reading: `Voucher(bytes32 sessionId,uint32 units,bytes32 journal)` under the
/// terms' meter key. Zero units: no voucher, and the rest is not looked at.
struct Voucher {
    uint32 units;
    bytes32 journal; // head of the hash chain of what happened
    bytes32 r; // EIP-2098
    bytes32 vs;
}

/// @notice What `openFromBalance` takes, and a row of `openBatch`.
struct Opening {
    PackedTerms terms;
    uint80 deposit; // base units
    bytes advisorSignature;
    bytes clientSignature;
    bytes payerSignature;
}

/// @notice A voucher with the terms that it belongs to: what `settle` and `close` take, and a row of `settleBatch`.
struct Settlement {
    PackedTerms terms;
    Voucher voucher;
}

/// @notice What `closeFor` takes, and a row of `closeBatch`.
struct Closing {
    PackedTerms terms;
    Voucher voucher;
    uint40 deadline; // unix seconds; only for a signature
    bytes advisorSignature;
}

/// @notice Where a session stands.
enum Status {
    None, // never seen
    Open,
    Closing, // somebody asked to close
    Closed,
    Revoked // the quote was withdrawn before anybody opened it
}

/// @notice A session, readable.
struct Session {
    Status status;
    uint80 deposit; // base units
    uint80 earned; // base units, the platform's share included
    uint40 openedAt; // unix seconds
    uint40 closingAt; // unix seconds; 0 = nobody asked
    uint40 closedAt; // unix seconds; 0 = not closed
    bool refundsToBalance;
    uint8 score; // 0 = not rated
    bool answered;
}

/// @title Escrow for paid advice: deposits wait here while a session runs, and its meter decides who gets them
/// @notice Nobody signs an amount. The parties sign terms with a tariff, the client's meter signs units, and the escrow
/// computes the fee. There is no owner, no upgrade and no pause.
/// @dev Amounts are base units of the token (zero address: the chain's own coin), times unix seconds. Wherever a function
/// takes a signature of the party that acts, an empty one means that the caller is that party.
interface ISessionEscrow is IErrors {
    // ------------------------------------------------------------------ events

    /// @notice Money came into an account's balance from outside.
    event Deposited(address indexed token, address indexed account, address from, uint256 amount);

    /// @notice Money left an account's balance.
    event Withdrawn(address indexed token, address indexed account, address to, uint256 amount);

    /// @notice A session began.
    /// @param slot what is stored from now on: the deposit, the time, and whether the deposit left the payer's balance,
    /// where the unspent part then returns (libraries/Slot.sol says which bits)
    event SessionOpened(bytes32 indexed sessionId, address indexed advisor, PackedTerms terms, Slot slot);

    /// @notice The whole deposit was raised to `deposit`.
    event ToppedUp(bytes32 indexed sessionId, uint80 deposit, bool fromBalance);

    /// @notice A voucher raised what is earned to `earned`; of the difference the platform got its share, the advisor
    /// the rest.
    event Settled(bytes32 indexed sessionId, uint32 units, uint80 earned, bytes32 journal);

    /// @notice The client or the payer leaves; the advisor has until `graceEnds` to settle.
    event CloseRequested(bytes32 indexed sessionId, address indexed by, uint40 graceEnds);

    /// @notice A session ended. Settles as `Settled` does; `earned` is the whole sum. What is left of the deposit went
    /// back to where it came from: the payer's balance, or their wallet.
    event SessionClosed(bytes32 indexed sessionId, uint32 units, uint80 earned, bytes32 journal);

    /// @notice The wallet did not take the refund of a session that was just closed: it is in the payer's balance.
    event RefundCredited(bytes32 indexed sessionId, address indexed payer, uint80 refund);

    /// @notice These terms can never be opened.
    event Revoked(bytes32 indexed sessionId, address indexed by);

    /// @notice The client of a closed session gave a score.
    event Rated(
        bytes32 indexed sessionId, address indexed client, address indexed advisor, uint8 score, bytes32 commentHash
    );

    /// @notice The advisor answered a rating.
    event Answered(bytes32 indexed sessionId, address indexed advisor, bytes32 answerHash);

    /// @notice A row of a batch was left out; `reason` is the encoded error of the same call alone.
    event RowSkipped(uint256 indexed row, bytes32 indexed sessionId, bytes reason);

    // ------------------------------------------------------------------ ledger

    /// @notice Puts `amount` of the caller's money into `account`'s balance; coin comes along as value.
    function deposit(address token, address account, uint256 amount) external payable;

    /// @notice The same by EIP-3009, from `account`'s wallet to its own balance; anyone may send it.
    /// The authorization's nonce is keccak256(abi.encode(keccak256("Deposit"), token, account, salt)).
    function depositWithAuthorization(
        address token,
        address account,
        uint256 amount,
        bytes32 salt,
        Authorization calldata authorization
    ) external;

    /// @notice Pays `amount` of the caller's balance to `to`.
    function withdraw(address token, uint256 amount, address to) external;

    /// @notice The same for `account`, sent by anyone.
    /// @param nonce the account's next one
    /// @param deadline unix seconds, inclusively
    /// @param signature `Withdrawal(address account,address token,uint256 amount,address to,uint256 nonce,uint256
    /// deadline)` by the account
    function withdrawFor(
        address account,
        address token,
        uint256 amount,
        address to,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice What the escrow owes `account`, beside sessions.
    function balanceOf(address token, address account) external view returns (uint256);

    /// @notice The number that `account`'s next signed withdrawal carries.
    function nonces(address account) external view returns (uint256);

    // ------------------------------------------------------------------ opening

    /// @notice Opens a session from the caller's wallet: by allowance, or with coin as value. The caller is the payer.
    /// @param advisorSignature of `Terms`; empty if the advisor calls
    /// @param clientSignature of `Terms`; empty if the client is the payer or calls
    /// @return sessionId EIP-712 digest of the terms
    function open(
        PackedTerms calldata terms,
        uint80 deposit,
        bytes calldata advisorSignature,
        bytes calldata clientSignature
    ) external payable returns (bytes32 sessionId);

    /// @notice Opens a session from the payer's wallet by EIP-3009; anyone may send it.
    /// The authorization's nonce is the session id, its value the deposit.
    function openWithAuthorization(
        PackedTerms calldata terms,
        uint80 deposit,
        Authorization calldata authorization,
        bytes calldata advisorSignature,
        bytes calldata clientSignature
    ) external returns (bytes32 sessionId);

    /// @notice Opens a session from the payer's balance, to which the unspent deposit returns.
    /// @param opening as in `openBatch`; `payerSignature` of `Opening(Terms terms,uint80 deposit)`, empty if the payer
    /// calls
    function openFromBalance(Opening calldata opening) external returns (bytes32 sessionId);

    /// @notice Opens many sessions from balances. A bad row is skipped and told in `RowSkipped`.
    function openBatch(Opening[] calldata rows) external;

    /// @notice Makes sure that these terms can never be opened.
    /// @param by the advisor or the payer
    /// @param signature `Revocation(bytes32 sessionId)` by them; empty if they call
    function revoke(PackedTerms calldata terms, address by, bytes calldata signature) external;

    // ------------------------------------------------------------------ while a session runs

    /// @notice Raises the whole deposit to `newDeposit` from the caller's wallet. The caller is the payer.
    /// @dev Warning: a voucher beyond the old deposit is worth more after it.
    function topUp(PackedTerms calldata terms, uint80 newDeposit) external payable;

    /// @notice The same by EIP-3009; the authorization's nonce is keccak256(abi.encode(sessionId, newDeposit)), its
    /// value the difference.
    function topUpWithAuthorization(PackedTerms calldata terms, uint80 newDeposit, Authorization calldata authorization)
        external;

    /// @notice The same from the payer's balance.
    /// @param signature `TopUp(bytes32 sessionId,uint80 deposit)` by the payer; empty if they call
    function topUpFromBalance(PackedTerms calldata terms, uint80 newDeposit, bytes calldata signature) external;

    /// @notice Credits what a voucher proves; the session goes on. Anyone may send it.
    function settle(Settlement calldata settlement) external;

    /// @notice Settles many. A bad row is skipped and told in `RowSkipped`.
    function settleBatch(Settlement[] calldata rows) external;

    // ------------------------------------------------------------------ ending

    /// @notice Settles a last voucher, if it brings anything, and returns the unspent deposit. The caller is the advisor.
    function close(Settlement calldata settlement) external;

    /// @notice The same, sent by anyone.
    /// @param closing `advisorSignature` of `Closing(bytes32 sessionId,uint32 units,bytes32 journal,uint40 deadline)`
    /// with exactly the voucher's units and journal
    function closeFor(Closing calldata closing) external;

    /// @notice Closes many, each as `closeFor` does, or as `close` where the caller is the advisor and the signature
    /// empty. A bad row is skipped and told in `RowSkipped`.
    function closeBatch(Closing[] calldata rows) external;

    /// @notice Leaves without the advisor: they have the grace period to settle, then anyone may finalize. Time stops to
    /// count now.
    /// @param by the client or the payer
    /// @param signature `Leaving(bytes32 sessionId)` by them; empty if they call
    function requestClose(PackedTerms calldata terms, address by, bytes calldata signature) external;

    /// @notice Ends a session whose grace period is over and returns the unspent deposit. Anyone may send it.
    function finalize(PackedTerms calldata terms) external;

    // ------------------------------------------------------------------ ratings

    /// @notice Scores a closed session in which something was earned, once, within 30 days.
    /// @param signature `Rating(bytes32 sessionId,uint8 score,bytes32 commentHash)` by the client; empty if they call
    function rate(PackedTerms calldata terms, uint8 score, bytes32 commentHash, bytes calldata signature) external;

    /// @notice The advisor's one answer to a rating.
    /// @param signature `Answer(bytes32 sessionId,bytes32 answerHash)` by the advisor; empty if they call
    function answer(PackedTerms calldata terms, bytes32 answerHash, bytes calldata signature) external;

    /// @notice How often an advisor was rated, and the sum of the scores.
    function ratingOf(address advisor) external view returns (uint128 count, uint128 sum);

    // ------------------------------------------------------------------ reading

    /// @notice Where a session stands.
    function session(bytes32 sessionId) external view returns (Session memory);

    /// @notice The id of a session of these terms here: their EIP-712 digest.
    function sessionIdOf(PackedTerms calldata terms) external view returns (bytes32);

    /// @notice The fee for `units` under these terms, before the deposit limits it.
    function feeOf(PackedTerms calldata terms, uint32 units) external pure returns (uint256);
}
