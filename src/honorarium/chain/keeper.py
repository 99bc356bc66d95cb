"""Keeps one program running for as long as its owner lives. A script: `keeper.py COMMAND ...`.

Whoever starts it holds the other end of its standard input. When that end closes, be it by kill -9,
the program is asked to end (it saves what it has to save), and made to after a while. The keeper
first prints the program's process number. It imports nothing of this package, to start at once.
"""

import ctypes
import signal
import subprocess
import sys
import threading

GRACE = 20  # seconds that the program has to end by itself


def die_with_keeper() -> None:
    """If even the keeper is killed, Linux ends the program with it."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def main() -> int:
    child = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr, preexec_fn=die_with_keeper
    )
    print(child.pid, flush=True)

    def watch() -> None:
        sys.stdin.buffer.read()  # returns when the other end closes
        child.terminate()
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=watch, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
