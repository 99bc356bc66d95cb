// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Who somebody is in a session's terms.
enum Party {
    Client,
    Payer,
    Advisor,
    MeterKey,
    Token,
    FeeRecipient
}

/// @title Everything that Honorarium's contracts refuse, with the numbers
/// @dev In a batch the same errors arrive as the `reason` of `RowSkipped`. Amounts are base units of the token,
/// times unix seconds. Python raises an exception of the same name with the same fields.
interface IErrors {
    // ------------------------------------------------------------------ terms that make no sense

    /// @notice No number of units would ever cost anything.
    error NothingToPay();

    /// @notice The step begins within the free units, so its price could never be told from the first one.
    error StepInsideFreeUnits(uint32 stepUnits, uint32 includedUnits);

    /// @notice A price after the step is given, but no step.
    error StepPriceWithoutStep(uint80 stepPrice);

    /// @notice The meter would stop before the first unit that costs something, and there is no connect fee.
    error CapWithinFreeUnits(uint32 maxUnits, uint32 includedUnits);

    /// @notice The billed increment is longer than a day.
    error UnitTooLong(uint32 unitSeconds, uint32 limit);

    /// @notice The platform's share is above the whole.
    error ShareTooHigh(uint16 feeBps, uint16 limit);

    /// @notice A platform's share is given, but nobody to receive it.
    error ShareWithoutRecipient(uint16 feeBps);

    /// @notice The time between asking to close and closing is outside its bounds.
    error GraceOutOfRange(uint24 closeGrace, uint24 shortest, uint24 longest);

    /// @notice An account that cannot have this part: zero, the escrow itself, or in two parts that exclude each other.
    error InvalidParty(Party party, address account);

    /// @notice Terms have one packed form: the lowest 16 bits of these two words are zero, and a payer who is the client
    /// is written as zero.
    error TermsNotCanonical(bytes32 payer, bytes32 advisor);

    // ------------------------------------------------------------------ opening

    /// @notice The quote was good until `openBefore`, exclusively, and it is `time` now.
    error QuoteExpired(uint40 openBefore, uint40 time);

    /// @notice Quotes hold for 30 days at most.
    error QuoteTooFarAhead(uint40 openBefore, uint40 latest);

    /// @notice The deposit does not cover the connect fee and the first unit that costs something.
    error DepositTooSmall(uint256 needed, uint256 given);

    /// @notice A session of these terms was opened already, or its quote revoked; nothing opens it again.
    error SessionExists(bytes32 sessionId);

    /// @notice A top-up names the new whole deposit, which must be above the present one.
    error DepositNotRaised(uint80 deposit, uint80 given);

    // ------------------------------------------------------------------ signatures

    /// @notice Neither did `party` call, nor is there a signature of theirs.
    error SignatureMissing(address party);

    /// @notice The signature is somebody else's, or of something else.
    /// @param expected who had to sign
    /// @param recovered whom the signature belongs to if it was made over this message; zero if it is none at all
    error WrongSigner(address expected, address recovered);

    /// @notice The mirror image of a signature (s above half the curve's order).
    error HighS(bytes32 s);

    /// @notice What was signed held until `deadline`, inclusively, and it is `time` now.
    error SignatureExpired(uint256 deadline, uint256 time);

    /// @notice Withdrawals are signed in order; the next one carries the number `expected`.
    error WrongNonce(uint256 expected, uint256 given);

    /// @notice `account` is neither of the two who may do this.
    error NotAParty(address account, address first, address second);

    // ------------------------------------------------------------------ life of a session

    /// @notice No session of this id is open: it never was, or it is closed.
    error SessionNotOpen(bytes32 sessionId);

    /// @notice Somebody asked to close at `closingAt` already.
    error AlreadyClosing(bytes32 sessionId, uint40 closingAt);

    /// @notice Nobody asked to close.
    error NotClosing(bytes32 sessionId);

    /// @notice The advisor has until `graceEnds` to settle.
    error GraceRunning(uint40 graceEnds, uint40 time);

    /// @notice More units than the time since opening allows.
    error TooManyUnits(uint256 allowed, uint256 given);

    /// @notice The voucher brings nothing: `earned` is settled already, and the fee for its units is `fee`.
    error StaleVoucher(uint80 earned, uint256 fee);

    // ------------------------------------------------------------------ ratings

    /// @notice The session is not closed yet.
    error SessionNotClosed(bytes32 sessionId);

    /// @notice Scores are 1 to 5.
    error ScoreOutOfRange(uint8 score);

    /// @notice Nothing was earned in this session, so there is nothing to rate.
    error NothingEarned(bytes32 sessionId);

    /// @notice Ratings were taken until `windowEnds`, inclusively.
    error RatingWindowOver(uint40 windowEnds, uint40 time);

    /// @notice The session carries its one rating.
    error AlreadyRated(bytes32 sessionId, uint8 score);

    /// @notice There is no rating to answer.
    error NotRated(bytes32 sessionId);

    /// @notice The advisor's one answer is given.
    error AlreadyAnswered(bytes32 sessionId);

    // ------------------------------------------------------------------ money

    /// @notice The coin that came along is not the amount that was named.
    error WrongValue(uint256 expected, uint256 given);

    /// @notice There is no contract at the token's address.
    error TokenWithoutCode(address token);

    /// @notice The token refused to move the money, or did not answer as a token does.
    error TokenCallFailed(address token);

    /// @notice Not exactly the amount arrived: the token takes a fee, or swallows calls that it does not know.
    error AmountNotReceived(address token, uint256 expected, uint256 received);

    /// @notice The account's balance in the escrow is too small.
    error BalanceTooSmall(address account, uint256 needed, uint256 available);

    /// @notice Amounts of zero are refused: they are mistakes.
    error ZeroAmount();

    /// @notice Money cannot go there: nobody, or the contract itself.
    error InvalidRecipient(address to);

    /// @notice The recipient or the token did not take the payment.
    error PaymentFailed(address token, address to, uint256 amount);

    /// @notice So little gas is left that a payment or a wallet's check could fail for that alone.
    error NotEnoughGas(uint256 needed, uint256 left);

    /// @notice A token called back in the middle of a payment to the escrow.
    error Reentered();
}
