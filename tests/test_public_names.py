"""The names that others may use, pinned on purpose: whoever adds or removes one does so here."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import honorarium

NAMES: dict[str, str] = {
    "chain": """
        Account AsyncAccount AsyncContracts AsyncNode AsyncSender Authorization
        BlockHead CallNotEncodable ChainInUse ChainNotStarted ClosingRow Contracts
        Deployed DeployerMissing DirectoryNotOurs Engine EngineMissing Fees
        IdempotencyKeyReused KeyUnusable KeystoreExists LocalChain LogRecord Manifest
        ManifestUnreadable Node NotRelayable OpeningRow Outbox OutboxUnusable Payment
        PaymentNotPossible Query RawLog Relayable RelayableUnreadable Sender Session
        Settlement SignedTransaction Status Store Tally TokenWithoutDomain Transaction
        TxReceipt UnreadableLog WalletTooSmall attach attach_async block_times calls
        collect collect_async deploy find find_async key_from_environment raw_logs
        read_events read_keystore reason_of reason_of_async receipts state_folder
        transactions verify write_keystore
    """,
    "client": """
        AdvisorSilent AsyncClient AsyncLiveMeter Client Contact ForeignRecord FundsLow
        FundsSpent Held Limit LiveMeter LogContradicts Meter NotMetered Notice OpenSession
        OtherAcknowledger OtherReading
        RateNotUsable Receipt Resumed SessionRevoked SessionUnknown Stopped Tick
        TimeMissing WrongDomain WrongMeterKey WrongToken ZoneUnknown
    """,
    "advisor": """
        Advisor Agent AsyncAdvisor AsyncAgent ClientSilent Earned Equivocated Equivocation
        Exposure Left NotFunded Offer Paused Policy Stop Stopped Superseded Unpaid
        VoucherBook WrongAdvisorKey
    """,
    "remote": """
        Api AsyncApi AsyncDesk Desk DeskNotNamed DeskRefused DeskUnreachable Earnings
        Enrolled Facts NotADesk NotSentHere NotSettledYet OtherDesk OtherQuote SignedIn
    """,
    "statement": """
        BalanceDiffers Entries Entry FILES FontUnusable GlyphsMissing Kind Paid Period
        PeriodNotUsable Quarter RateMissing Rates RatesUnreadable Row Statement
        StatementNotWritten Sums as_beancount as_json as_pdf entries_csv quarters_csv
        read_entries state write
    """,
    "protocol": """
        Acknowledgement Answer Answered Clock ClockWentBack CloseRequested Closing
        DepositNotUsable Deposited Domain EIP712DomainChanged ESCROW_EVENTS Entry
        EntryKind Event Journal Key Leaving Message MomentNotUsable Opening OtherSession
        PATIENCE Permit Quote Rated Rating ReceiveWithAuthorization RefundCredited
        Revocation Revoked RowSkipped SessionClosed SessionOpened SettingNotUsable
        Settled Signature SignedAcknowledgement SignedVoucher Signer Slot Status
        TIP_JAR_EVENTS Tariff Terms Tipped TopUp ToppedUp TransactionFields Verifier
        Voucher Wallet Withdrawal Withdrawn address_of allowed_units billable_seconds
        decode_log deposit_nonce funded_units genesis head_of note_hash opening_nonce
        recover refusal sign_message sign_terms tip_nonce top_up_nonce
    """,
    "errors": """
        AlreadyAnswered AlreadyClosing AlreadyRated AmountNotExact AmountNotReceived
        AuthorizationExpired AuthorizationNotYetValid AuthorizationSignatureInvalid
        AuthorizationSpent BadSignature BalanceTooSmall BatchLengthsDiffer
        CallerNotRecipient CapWithinFreeUnits ChainError ChainReset ClockNotSettable
        ContractError DepositNotRaised DepositTooSmall ECDSAInvalidSignature
        ECDSAInvalidSignatureLength ECDSAInvalidSignatureS ERC20InsufficientAllowance
        ERC20InsufficientBalance ERC20InvalidApprover ERC20InvalidReceiver
        ERC20InvalidSender ERC20InvalidSpender ERC2612ExpiredSignature
        ERC2612InvalidSigner FateUnknown FeeTooHigh FieldNotUsable GraceOutOfRange
        GraceRunning HighS HonorariumError InputError InvalidAccountNonce InvalidParty
        InvalidRecipient InvalidShortString JournalChanged JournalIncomplete JournalRefused
        LocalChainsOnly NoDeployment NodeBehind NodeError NodeUnreachable NonceTaken
        NotAParty NotClosing NotEnoughGas NotOurCode NotRated NothingEarned NothingToPay
        OutboxUnusable Panicked Party PaymentFailed QuoteExpired QuoteTooFarAhead RateLimited
        RatingWindowOver Reentered RevertedWithReason ScoreOutOfRange SessionExists
        SessionNotClosed SessionNotOpen ShareTooHigh ShareWithoutRecipient
        SignatureExpired SignatureMissing StaleVoucher StepInsideFreeUnits
        StepPriceWithoutStep StringTooLong TermsNotCanonical TokenCallFailed
        TokenWithoutCode TokensDiffer TooManyUnits TransactionFailed UnitTooLong
        UnknownContractError WrongChain WrongNonce WrongSignature WrongSigner WrongValue
        ZeroAmount contract_errors
    """,
    "money": """
        Amount COIN Money Token
    """,
    "units": """
        BaseUnits BlockNumber Bps MAX_AMOUNT MAX_UNITS Seconds UnixTime WHOLE_SHARE
        format_amount parse_amount
    """,
    "ids": """
        Address Hash SessionId ZERO_ADDRESS ZERO_HASH
    """,
}


def own_names(module: ModuleType) -> set[str]:
    """What a module without `__all__` defines itself."""
    import ast

    assert module.__file__ is not None
    found: set[str] = set()
    for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                found.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                found.add(name)
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("room", NAMES)
def test_the_public_names_are_these_and_no_others(room: str) -> None:
    module = importlib.import_module(f"honorarium.{room}")
    listed = set(getattr(module, "__all__", ())) or own_names(module)
    assert listed == set(NAMES[room].split())
    assert all(hasattr(module, name) for name in listed)


@pytest.mark.parametrize("room", ["chain", "client", "advisor", "remote", "protocol", "errors"])
def test_names_are_listed_once_in_order(room: str) -> None:
    listed: list[str] = importlib.import_module(f"honorarium.{room}").__all__
    assert len(set(listed)) == len(listed)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(honorarium.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("room", ["protocol", "money", "errors", "units", "ids"])
def test_the_pure_rooms_import_neither_web3_nor_the_network(room: str) -> None:
    code = f"""
import sys
import honorarium.{room}
loud = ("web3", "requests", "aiohttp", "eth_account", "sqlite3", "honorarium.chain")
print([name for name in loud if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
