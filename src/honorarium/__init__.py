"""Honorarium: settling paid advice on chain."""

import os

# safe-pysha3 hashes five times faster than the default; whoever chose another backend keeps it.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
