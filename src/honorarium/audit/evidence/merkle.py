"""Merkle proofs: that a value stands under a key in a tree of which only the root is known.

Ethereum's hexary tries, by the library `trie`. A proof is the nodes on the way from the root to the
value, in that order, each of them needed: nothing in a proof can be changed unnoticed.
"""

from __future__ import annotations

from collections.abc import Sequence

import rlp
from trie.hexary import HexaryTrie

from honorarium.audit.encoding import index_key
from honorarium.audit.evidence.bundle import Proof
from honorarium.hashing import keccak


class ProofBroken(ValueError):
    """Nodes that prove nothing of this root and key."""


def proven(root: bytes, key: bytes, proof: Proof) -> bytes:
    """The value under `key` in the tree of this root; empty: it is proven that there is none.

    Raises ProofBroken unless the nodes prove it, in their order, with none left over.
    """
    tree = HexaryTrie({keccak(node): node for node in proof}, root)
    try:
        value, nodes = tree.get(key), _way(tree, key)
    except Exception as error:  # whatever a library makes of nodes that somebody made up
        raise ProofBroken(f"its nodes do not lead from the root ({type(error).__name__})") from None
    if nodes != proof or not isinstance(value, bytes):
        raise ProofBroken("its nodes are not those on the way from the root")
    return value


class Tree:
    """The tree of a block's transactions or receipts, built from all of them."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self._tree = HexaryTrie({})
        for index, value in enumerate(values):
            self._tree[index_key(index)] = value

    @property
    def root(self) -> bytes:
        """What the block's header has to say."""
        return bytes(self._tree.root_hash)

    def proof(self, index: int) -> Proof:
        """That the value stands at this index."""
        return _way(self._tree, index_key(index))


def _way(tree: HexaryTrie, key: bytes) -> Proof:
    """The nodes from the root to the key. One of less than 32 bytes lies within that above it."""
    nodes = [bytes(rlp.encode(node)) for node in tree.get_proof(key)]  # type: ignore[no-untyped-call]
    return (*nodes[:1], *(node for node in nodes[1:] if len(node) >= 32))
