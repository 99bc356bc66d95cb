"""The chain room: nodes, local chains, deployment, calls, transactions and logs.

Nothing outside this package speaks to a chain. `calls` has a function for each entry point of the
contracts.
"""

from honorarium.chain import calls
from honorarium.chain.account import (
    Account,
    AsyncAccount,
    Payment,
    PaymentNotPossible,
    WalletTooSmall,
)
from honorarium.chain.calls import (
    Authorization,
    CallNotEncodable,
    ClosingRow,
    OpeningRow,
    Session,
    Settlement,
    Status,
    Tally,
)
from honorarium.chain.contracts import (
    AsyncContracts,
    Contracts,
    TokenWithoutDomain,
    read_events,
    state_folder,
)
from honorarium.chain.deploy import (
    Deployed,
    DeployerMissing,
    Manifest,
    ManifestUnreadable,
    attach,
    attach_async,
    deploy,
    find,
    find_async,
    verify,
)
from honorarium.chain.gas import Fees
from honorarium.chain.keystore import (
    KeystoreExists,
    KeyUnusable,
    key_from_environment,
    read_keystore,
    write_keystore,
)
from honorarium.chain.local import (
    ChainInUse,
    ChainNotStarted,
    DirectoryNotOurs,
    Engine,
    EngineMissing,
    LocalChain,
)
from honorarium.chain.logs import (
    LogRecord,
    RawLog,
    Transaction,
    UnreadableLog,
    block_times,
    collect,
    collect_async,
    raw_logs,
    transactions,
)
from honorarium.chain.node import AsyncNode, BlockHead, Node, Query
from honorarium.chain.outbox import IdempotencyKeyReused, Outbox, SignedTransaction
from honorarium.chain.outbox_store import Store
from honorarium.chain.receipts import TxReceipt, reason_of, reason_of_async, receipts
from honorarium.chain.relay import NotRelayable, Relayable, RelayableUnreadable
from honorarium.chain.send import AsyncSender, Sender
from honorarium.errors import OutboxUnusable

__all__ = [
    "Account",
    "AsyncAccount",
    "AsyncContracts",
    "AsyncNode",
    "AsyncSender",
    "Authorization",
    "BlockHead",
    "CallNotEncodable",
    "ChainInUse",
    "ChainNotStarted",
    "ClosingRow",
    "Contracts",
    "Deployed",
    "DeployerMissing",
    "DirectoryNotOurs",
    "Engine",
    "EngineMissing",
    "Fees",
    "IdempotencyKeyReused",
    "KeyUnusable",
    "KeystoreExists",
    "LocalChain",
    "LogRecord",
    "Manifest",
    "ManifestUnreadable",
    "Node",
    "NotRelayable",
    "OpeningRow",
    "Outbox",
    "OutboxUnusable",
    "Payment",
    "PaymentNotPossible",
    "Query",
    "RawLog",
    "Relayable",
    "RelayableUnreadable",
    "Sender",
    "Session",
    "Settlement",
    "SignedTransaction",
    "Status",
    "Store",
    "Tally",
    "TokenWithoutDomain",
    "Transaction",
    "TxReceipt",
    "UnreadableLog",
    "WalletTooSmall",
    "attach",
    "attach_async",
    "block_times",
    "calls",
    "collect",
    "collect_async",
    "deploy",
    "find",
    "find_async",
    "key_from_environment",
    "raw_logs",
    "read_events",
    "read_keystore",
    "reason_of",
    "reason_of_async",
    "receipts",
    "state_folder",
    "transactions",
    "verify",
    "write_keystore",
]
