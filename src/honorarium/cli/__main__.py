"""`python -m honorarium.cli` is `honorarium`."""

from honorarium.cli import main

main()
