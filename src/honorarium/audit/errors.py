"""What an audit refuses: archives that are not whole, and nodes that contradict themselves."""

from __future__ import annotations

from pathlib import Path

from honorarium.errors import ChainError, InputError


class ArchiveUnusable(InputError):
    """A folder that holds no archive, or one that is not whole."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"{folder} cannot be used as an archive: {reason}; copy it again from where it came, "
            "or collect into an empty folder"
        )


class ArchiveBusy(InputError):
    """An archive that another process adds to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"{folder} is being added to by another process; wait until it has ended")


class ArchiveElsewhere(InputError):
    """An archive of other contracts, or of another chain, than those that are to be audited."""

    def __init__(self, folder: Path, what: str, kept: str, found: str) -> None:
        self.folder, self.what, self.kept, self.found = folder, what, kept, found
        super().__init__(
            f"the archive in {folder} is of {what} {kept}, and this is {found}; name another "
            "folder with --store"
        )


class HistoryReplaced(ChainError):
    """Not one block that an archive knows is on the chain any more."""

    def __init__(self, folder: Path, block: int, kept: bytes, found: bytes | None) -> None:
        self.folder, self.block, self.kept, self.found = folder, block, kept, found
        there = "is missing" if found is None else f"is 0x{found.hex()}"
        super().__init__(
            f"block {block}, the first that the archive in {folder} knows, was 0x{kept.hex()} and "
            f"{there}: this is not a reorganisation, but another chain or one that was reset; "
            "collect it into an empty folder"
        )


class NodeContradicts(ChainError):
    """A node's answers do not fit together."""

    def __init__(self, block: int, reason: str) -> None:
        self.block, self.reason = block, reason
        super().__init__(
            f"the node contradicts itself about block {block}: {reason}; ask another node"
        )


class ArchiveDiffers(ChainError):
    """An archive that says something else of a chain than a node does."""

    def __init__(self, folder: Path, what: str, block: int) -> None:
        self.folder, self.what, self.block = folder, what, block
        super().__init__(
            f"the archive in {folder} and the node differ in {what} at block {block}: one of them "
            "is of another chain, was changed, or leaves something out; audit the node itself "
            "(`honorarium audit --rpc URL`) if it is the one that you trust"
        )


class TransactionAltered(InputError):
    """A transaction in an archive that is not the one that was signed."""

    def __init__(self, tx_hash: bytes, block: int, reason: str) -> None:
        self.tx_hash, self.block, self.reason = tx_hash, block, reason
        super().__init__(
            f"transaction 0x{tx_hash.hex()} of block {block} is not the one that was signed: "
            f"{reason}; the archive was changed after it was collected: collect it again from a "
            "node that you trust"
        )


class StateNotKept(InputError):
    """An archive without the storage of the block that is to be compared."""

    def __init__(self, folder: Path, block: int, kept: list[int]) -> None:
        self.folder, self.block, self.kept = folder, block, kept
        blocks = ", ".join(map(str, kept)) or "none"
        super().__init__(
            f"the archive in {folder} does not hold the storage of block {block} (it holds: "
            f"{blocks}); collect it with `honorarium audit --rpc URL --store DIR --at {block}`"
        )


class ExportUnusable(InputError):
    """A folder that holds no complete export."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"{folder} holds no complete export: {reason}; export once more, or copy it again"
        )


class ExportNotWritten(InputError):
    """An export that could not be completed. No manifest stands beside what was written."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"the export to {folder} failed: {reason}; what was written is not complete, so mend "
            "the cause and export once more"
        )
