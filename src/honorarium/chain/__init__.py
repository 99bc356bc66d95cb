"""The chain room: nodes, local chains, deployment, calls, transactions and logs.

Nothing outside this package speaks to a chain. `calls` has a function for each entry point of the
contracts.
"""

from honorarium.chain import calls
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
from honorarium.chain.contracts import Contracts, read_events
from honorarium.chain.deploy import (
    Deployed,
    DeployerMissing,
    Manifest,
    ManifestUnreadable,
    attach,
    deploy,
    find,
    verify,
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
    raw_logs,
    transactions,
)
from honorarium.chain.node import BlockHead, Node
from honorarium.chain.send import (
    Receipt,
    Sender,
    SignedTransaction,
    reason_of,
    receipts,
)

__all__ = [
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
    "LocalChain",
    "LogRecord",
    "Manifest",
    "ManifestUnreadable",
    "Node",
    "OpeningRow",
    "RawLog",
    "Receipt",
    "Sender",
    "Session",
    "Settlement",
    "SignedTransaction",
    "Status",
    "Tally",
    "Transaction",
    "UnreadableLog",
    "attach",
    "block_times",
    "calls",
    "collect",
    "deploy",
    "find",
    "raw_logs",
    "read_events",
    "reason_of",
    "receipts",
    "transactions",
    "verify",
]
