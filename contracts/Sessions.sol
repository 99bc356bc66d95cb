// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ledger} from "./Ledger.sol";
import {Closing, ISessionEscrow, Opening, Session, Settlement, Status, Voucher} from "./interfaces/ISessionEscrow.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Slot, SlotLib} from "./libraries/Slot.sol";
import {PackedTerms} from "./libraries/Terms.sol";
import {Authorization, Tokens} from "./libraries/Tokens.sol";

/// @title The life of a session, from quote to closed
/// @dev What a batch shares with the single call is written once, in functions that return the refusal (an encoded
/// error, empty if there is none) before they change anything: the single call reverts with it, the batch tells it.
abstract contract Sessions is Ledger {
    bytes32 private constant OPENING_TYPEHASH = keccak256(
        "Opening(Terms terms,uint80 deposit)"
        "Tariff(uint80 connectFee,uint80 unitPrice,uint32 unitSeconds,uint32 includedUnits,uint32 stepUnits,uint80 stepPrice,uint32 maxUnits)"
        "Terms(address client,address payer,address advisor,address meterKey,address token,Tariff tariff,uint16 feeBps,address feeRecipient,uint40 openBefore,uint24 closeGrace,bytes32 context,uint96 salt)"
    );
    bytes32 private constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 sessionId,uint32 units,bytes32 journal)");
    bytes32 private constant CLOSING_TYPEHASH =
        keccak256("Closing(bytes32 sessionId,uint32 units,bytes32 journal,uint40 deadline)");
    bytes32 private constant LEAVING_TYPEHASH = keccak256("Leaving(bytes32 sessionId)");
    bytes32 private constant REVOCATION_TYPEHASH = keccak256("Revocation(bytes32 sessionId)");
    bytes32 private constant TOP_UP_TYPEHASH = keccak256("TopUp(bytes32 sessionId,uint80 deposit)");

    /// @dev Where a session's slot lies: a reference that is computed once and passed on.
    struct Cell {
        Slot slot;
    }

    mapping(bytes32 sessionId => Cell) internal _cells;

    // ------------------------------------------------------------------ opening

    /// @inheritdoc ISessionEscrow
    function open(
        PackedTerms calldata terms,
        uint80 deposit,
        bytes calldata advisorSignature,
        bytes calldata clientSignature
    ) external payable returns (bytes32 sessionId) {
        address payer = terms.payerOf();
        if (msg.sender != payer) revert SignatureMissing(payer);
        sessionId = _digest(_separator(), terms.hash());
        Cell storage cell = _cells[sessionId];
        _must(_openingRefusal(terms, cell, sessionId, deposit, advisorSignature, clientSignature));
        _write(terms, cell, sessionId, deposit, false);
        _take(terms.tokenOf(), payer, deposit);
    }

    /// @inheritdoc ISessionEscrow
    function openWithAuthorization(
        PackedTerms calldata terms,
        uint80 deposit,
        Authorization calldata authorization,
        bytes calldata advisorSignature,
        bytes calldata clientSignature
    ) external returns (bytes32 sessionId) {
        sessionId = _digest(_separator(), terms.hash());
        Cell storage cell = _cells[sessionId];
        _must(_openingRefusal(terms, cell, sessionId, deposit, advisorSignature, clientSignature));
        _write(terms, cell, sessionId, deposit, false);
        _takeAuthorized(terms.tokenOf(), terms.payerOf(), deposit, sessionId, authorization);
    }

    /// @inheritdoc ISessionEscrow
    function openFromBalance(Opening calldata opening) external returns (bytes32 sessionId) {
        bytes memory why;
        (sessionId, why) = _openFromBalance(opening, _separator());
        _must(why);
    }

    /// @inheritdoc ISessionEscrow
    function openBatch(Opening[] calldata rows) external {
        bytes32 separator = _separator();
        for (uint256 i = 0; i < rows.length; ++i) {
            (bytes32 sessionId, bytes memory why) = _openFromBalance(rows[i], separator);
            if (why.length != 0) emit RowSkipped(i, sessionId, why);
        }
    }

    /// @inheritdoc ISessionEscrow
    function revoke(PackedTerms calldata terms, address by, bytes calldata signature) external {
        (bytes32 separator, bytes32 sessionId) = _identify(terms);
        _mustBeEither(by, terms.advisorOf(), terms.payerOf());
        Cell storage cell = _cells[sessionId];
        if (!cell.slot.isEmpty()) revert SessionExists(sessionId);
        _mustBeSigned(by, _digest(separator, _hash(REVOCATION_TYPEHASH, sessionId)), signature);
        cell.slot = SlotLib.revoked(uint40(block.timestamp));
        emit Revoked(sessionId, by);
    }

    function _openFromBalance(Opening calldata opening, bytes32 separator)
        private
        returns (bytes32 sessionId, bytes memory why)
    {
        PackedTerms calldata terms = opening.terms;
        uint80 deposit = opening.deposit;
        address payer = terms.payerOf();
        bytes32 termsHash = terms.hash();
        sessionId = _digest(separator, termsHash);
        Cell storage cell = _cells[sessionId];
        why = _openingRefusal(terms, cell, sessionId, deposit, opening.advisorSignature, opening.clientSignature);
        if (why.length != 0) return (sessionId, why);
        if (msg.sender != payer || opening.payerSignature.length != 0) {
            bytes32 digest = _digest(separator, _hash(OPENING_TYPEHASH, termsHash, deposit));
            why = Signatures.refusal(payer, digest, opening.payerSignature);
            if (why.length != 0) return (sessionId, why);
        }
        why = _debit(terms.tokenOf(), payer, deposit);
        if (why.length != 0) return (sessionId, why);
        _write(terms, cell, sessionId, deposit, true);
    }

    /// @dev All but the payer's consent, which each way to open asks for by itself.
    function _openingRefusal(
        PackedTerms calldata terms,
        Cell storage cell,
        bytes32 sessionId,
        uint80 deposit,
        bytes calldata advisorSignature,
        bytes calldata clientSignature
    ) private view returns (bytes memory why) {
        why = terms.refusal(deposit, address(this), block.timestamp);
        if (why.length != 0) return why;
        if (!cell.slot.isEmpty()) return abi.encodeWithSelector(SessionExists.selector, sessionId);
        why = _unsigned(terms.advisorOf(), sessionId, advisorSignature);
        if (why.length != 0) return why;
        address client = terms.clientOf();
        if (client != terms.payerOf()) why = _unsigned(client, sessionId, clientSignature);
    }

    function _write(PackedTerms calldata terms, Cell storage cell, bytes32 sessionId, uint80 deposit, bool fromBalance)
        private
    {
        Slot slot = SlotLib.opened(deposit, uint40(block.timestamp), fromBalance);
        cell.slot = slot;
        emit SessionOpened(sessionId, terms.advisorOf(), terms, slot);
    }

    // ------------------------------------------------------------------ while a session runs

    /// @inheritdoc ISessionEscrow
    function topUp(PackedTerms calldata terms, uint80 newDeposit) external payable {
        address payer = terms.payerOf();
        if (msg.sender != payer) revert SignatureMissing(payer);
        (, bytes32 sessionId) = _identify(terms);
        uint80 added = _raise(sessionId, newDeposit, false);
        _take(terms.tokenOf(), payer, added);
    }

    /// @inheritdoc ISessionEscrow
    function topUpWithAuthorization(PackedTerms calldata terms, uint80 newDeposit, Authorization calldata authorization)
        external
    {
        (, bytes32 sessionId) = _identify(terms);
        uint80 added = _raise(sessionId, newDeposit, false);
        bytes32 nonce = keccak256(abi.encode(sessionId, newDeposit));
        _takeAuthorized(terms.tokenOf(), terms.payerOf(), added, nonce, authorization);
    }

    /// @inheritdoc ISessionEscrow
    function topUpFromBalance(PackedTerms calldata terms, uint80 newDeposit, bytes calldata signature) external {
        (bytes32 separator, bytes32 sessionId) = _identify(terms);
        address payer = terms.payerOf();
        bytes32 message = _hash(TOP_UP_TYPEHASH, sessionId, newDeposit);
        _mustBeSigned(payer, _digest(separator, message), signature);
        uint80 added = _raise(sessionId, newDeposit, true);
        _must(_debit(terms.tokenOf(), payer, added));
    }

    function _raise(bytes32 sessionId, uint80 newDeposit, bool fromBalance) private returns (uint80 added) {
        Cell storage cell = _cells[sessionId];
        Slot slot = _open(cell, sessionId);
        if (slot.closingAt() != 0) revert AlreadyClosing(sessionId, slot.closingAt());
        if (newDeposit <= slot.deposit()) revert DepositNotRaised(slot.deposit(), newDeposit);
        cell.slot = slot.withDeposit(newDeposit);
        emit ToppedUp(sessionId, newDeposit, fromBalance);
        return newDeposit - slot.deposit();
    }

    /// @inheritdoc ISessionEscrow
    function settle(Settlement calldata settlement) external {
        (, bytes memory why) = _settle(settlement, _separator());
        _must(why);
    }

    /// @inheritdoc ISessionEscrow
    function settleBatch(Settlement[] calldata rows) external {
        bytes32 separator = _separator();
        for (uint256 i = 0; i < rows.length; ++i) {
            (bytes32 sessionId, bytes memory why) = _settle(rows[i], separator);
            if (why.length != 0) emit RowSkipped(i, sessionId, why);
        }
    }

    function _settle(Settlement calldata settlement, bytes32 separator)
        private
        returns (bytes32 sessionId, bytes memory why)
    {
        PackedTerms calldata terms = settlement.terms;
        Voucher calldata voucher = settlement.voucher;
        sessionId = _digest(separator, terms.hash());
        Cell storage cell = _cells[sessionId];
        Slot slot = cell.slot;
        uint256 fee;
        (fee, why) = _prove(terms, voucher, separator, sessionId, slot);
        if (why.length != 0) return (sessionId, why);
        uint80 earned = slot.earned();
        if (fee <= earned) return (sessionId, abi.encodeWithSelector(StaleVoucher.selector, earned, fee));
        // forge-lint: disable-next-line(unsafe-typecast) never above the deposit, which has 80 bits
        uint80 earnedNow = uint80(fee);
        cell.slot = slot.withEarned(earnedNow);
        _share(terms, earned, earnedNow);
        emit Settled(sessionId, voucher.units, earnedNow, voucher.journal);
    }

    /// @dev The fee that a voucher proves in an open session, never above the deposit, or why it proves nothing.
    function _prove(
        PackedTerms calldata terms,
        Voucher calldata voucher,
        bytes32 separator,
        bytes32 sessionId,
        Slot slot
    ) private view returns (uint256 fee, bytes memory why) {
        if (!slot.isOpen()) return (0, abi.encodeWithSelector(SessionNotOpen.selector, sessionId));
        uint32 units = voucher.units;
        if (units == 0) return (0, "");
        bytes32 message = _hash(VOUCHER_TYPEHASH, sessionId, units, uint256(voucher.journal));
        why = Signatures.meterRefusal(terms.meterKey(), _digest(separator, message), voucher.r, voucher.vs);
        if (why.length != 0) return (0, why);
        uint256 unitSeconds = terms.unitSeconds();
        if (unitSeconds != 0) {
            // Time counts from opening to the moment somebody asked to close; a started unit counts whole.
            uint256 until = slot.closingAt();
            if (until == 0) until = block.timestamp;
            uint256 since = slot.openedAt();
            uint256 allowed = 1;
            unchecked {
                if (until > since) allowed += (until - since) / unitSeconds; // a local chain's clock may go backwards
            }
            if (units > allowed) return (0, abi.encodeWithSelector(TooManyUnits.selector, allowed, units));
        }
        fee = terms.fee(units);
        uint256 deposit = slot.deposit();
        if (fee > deposit) fee = deposit;
    }

    /// @dev Credits what was earned anew. The platform's part is the difference of two rounded-down totals, so that it
    /// does not depend on how often anybody settles (ESC-15).
    function _share(PackedTerms calldata terms, uint256 earned, uint256 earnedNow) private {
        address token = terms.tokenOf();
        uint256 bps = terms.feeBps();
        unchecked {
            uint256 part = bps == 0 ? 0 : earnedNow * bps / 10_000 - earned * bps / 10_000;
            if (part != 0) _credit(token, terms.feeRecipient(), part);
            uint256 rest = earnedNow - earned - part;
            if (rest != 0) _credit(token, terms.advisorOf(), rest);
        }
    }

    // ------------------------------------------------------------------ ending

    /// @inheritdoc ISessionEscrow
    function close(Settlement calldata settlement) external {
        PackedTerms calldata terms = settlement.terms;
        if (msg.sender != terms.advisorOf()) revert SignatureMissing(terms.advisorOf());
        (bytes32 separator, bytes32 sessionId) = _identify(terms);
        _must(_close(terms, settlement.voucher, separator, sessionId));
    }

    /// @inheritdoc ISessionEscrow
    function closeFor(Closing calldata closing) external {
        (, bytes memory why) = _closeFor(closing, _separator());
        _must(why);
    }

    /// @inheritdoc ISessionEscrow
    function closeBatch(Closing[] calldata rows) external {
        bytes32 separator = _separator();
        for (uint256 i = 0; i < rows.length; ++i) {
            (bytes32 sessionId, bytes memory why) = _closeFor(rows[i], separator);
            if (why.length != 0) emit RowSkipped(i, sessionId, why);
        }
    }

    /// @inheritdoc ISessionEscrow
    function requestClose(PackedTerms calldata terms, address by, bytes calldata signature) external {
        (bytes32 separator, bytes32 sessionId) = _identify(terms);
        _mustBeEither(by, terms.clientOf(), terms.payerOf());
        Cell storage cell = _cells[sessionId];
        Slot slot = _open(cell, sessionId);
        if (slot.closingAt() != 0) revert AlreadyClosing(sessionId, slot.closingAt());
        _mustBeSigned(by, _digest(separator, _hash(LEAVING_TYPEHASH, sessionId)), signature);
        uint40 time = uint40(block.timestamp);
        cell.slot = slot.closing(time);
        emit CloseRequested(sessionId, by, time + terms.closeGrace());
    }

    /// @inheritdoc ISessionEscrow
    function finalize(PackedTerms calldata terms) external {
        (, bytes32 sessionId) = _identify(terms);
        Cell storage cell = _cells[sessionId];
        Slot slot = _open(cell, sessionId);
        if (slot.closingAt() == 0) revert NotClosing(sessionId);
        uint40 graceEnds = slot.closingAt() + terms.closeGrace();
        if (block.timestamp < graceEnds) revert GraceRunning(graceEnds, uint40(block.timestamp));
        _end(terms, sessionId, cell, slot, slot.earned(), 0, 0);
    }

    function _closeFor(Closing calldata closing, bytes32 separator)
        private
        returns (bytes32 sessionId, bytes memory why)
    {
        PackedTerms calldata terms = closing.terms;
        sessionId = _digest(separator, terms.hash());
        address advisor = terms.advisorOf();
        if (msg.sender != advisor || closing.advisorSignature.length != 0) {
            if (block.timestamp > closing.deadline) {
                return (sessionId, abi.encodeWithSelector(SignatureExpired.selector, closing.deadline, block.timestamp));
            }
            Voucher calldata voucher = closing.voucher;
            bytes32 message =
                keccak256(abi.encode(CLOSING_TYPEHASH, sessionId, voucher.units, voucher.journal, closing.deadline));
            why = Signatures.refusal(advisor, _digest(separator, message), closing.advisorSignature);
            if (why.length != 0) return (sessionId, why);
        }
        why = _close(terms, closing.voucher, separator, sessionId);
    }

    /// @dev With the advisor's consent. A voucher that brings nothing new does no harm, an invalid one is refused.
    function _close(PackedTerms calldata terms, Voucher calldata voucher, bytes32 separator, bytes32 sessionId)
        private
        returns (bytes memory why)
    {
        Cell storage cell = _cells[sessionId];
        Slot slot = cell.slot;
        uint256 fee;
        (fee, why) = _prove(terms, voucher, separator, sessionId, slot);
        if (why.length != 0) return why;
        // forge-lint: disable-next-line(unsafe-typecast) never above the deposit, which has 80 bits
        uint80 earnedNow = fee > slot.earned() ? uint80(fee) : slot.earned();
        uint32 units = voucher.units;
        // Without units nobody signed the journal either, and the log tells only what was signed.
        _end(terms, sessionId, cell, slot, earnedNow, units, units == 0 ? bytes32(0) : voucher.journal);
    }

    function _end(
        PackedTerms calldata terms,
        bytes32 sessionId,
        Cell storage cell,
        Slot slot,
        uint80 earnedNow,
        uint32 units,
        bytes32 journal
    ) private {
        cell.slot = slot.ended(earnedNow, uint40(block.timestamp));
        if (earnedNow != slot.earned()) _share(terms, slot.earned(), earnedNow);
        emit SessionClosed(sessionId, units, earnedNow, journal);
        uint80 refund;
        unchecked {
            refund = slot.deposit() - earnedNow;
        }
        if (refund == 0) return;
        (address token, address payer) = (terms.tokenOf(), terms.payerOf());
        if (slot.fromBalance()) {
            _credit(token, payer, refund);
        } else if (!Tokens.push(token, payer, refund)) {
            _credit(token, payer, refund);
            emit RefundCredited(sessionId, payer, refund);
        }
    }

    // ------------------------------------------------------------------ reading

    /// @inheritdoc ISessionEscrow
    function session(bytes32 sessionId) external view returns (Session memory) {
        Slot slot = _cells[sessionId].slot;
        bool over = !slot.isEmpty() && !slot.isOpen();
        Status status;
        if (over) status = slot.wasClosed() ? Status.Closed : Status.Revoked;
        else if (slot.isOpen()) status = slot.closingAt() == 0 ? Status.Open : Status.Closing;
        return Session({
            status: status,
            deposit: slot.deposit(),
            earned: slot.earned(),
            openedAt: slot.openedAt(),
            closingAt: over ? 0 : slot.closingAt(),
            closedAt: over ? slot.closingAt() : 0,
            refundsToBalance: slot.fromBalance(),
            score: slot.score(),
            answered: slot.answered()
        });
    }

    /// @inheritdoc ISessionEscrow
    function sessionIdOf(PackedTerms calldata terms) external view returns (bytes32 sessionId) {
        (, sessionId) = _identify(terms);
    }

    /// @inheritdoc ISessionEscrow
    function feeOf(PackedTerms calldata terms, uint32 units) external pure returns (uint256) {
        return terms.fee(units);
    }

    // ------------------------------------------------------------------ shared

    function _identify(PackedTerms calldata terms) internal view returns (bytes32 separator, bytes32 sessionId) {
        separator = _separator();
        sessionId = _digest(separator, terms.hash());
    }

    function _open(Cell storage cell, bytes32 sessionId) private view returns (Slot slot) {
        slot = cell.slot;
        if (!slot.isOpen()) revert SessionNotOpen(sessionId);
    }

    function _mustBeEither(address by, address first, address second) private pure {
        if (by != first && by != second) revert NotAParty(by, first, second);
    }

    function _must(bytes memory why) private pure {
        if (why.length != 0) Tokens.revertWith(why);
    }
}
