"""Which calls one agent served at the same time, counted from the records alone.

Knows nothing of sessions, tariffs or chains: what `honorarium audit` reports as `overlap` after a
replay is compared with this.

    python scripts/overlapping_calls.py CALLS.csv[.gz]
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections import defaultdict
from datetime import date
from itertools import combinations
from pathlib import Path

Pair = frozenset[str]


def overlapping_calls(path: Path) -> set[Pair]:
    """Pairs of call ids whose service intervals share at least a second.

    Rows count that a named agent served for more than 0 seconds. Times of day belong to the day of
    the row, or to the next one after midnight.
    """
    served: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            seconds = row["service_seconds"]
            if row["outcome"] != "AGENT" or not row["agent"] or int(seconds) == 0:
                continue
            day = date.fromisoformat(row["date"]).toordinal() * 86_400
            start, end = _seconds(row["service_start"]), _seconds(row["service_end"])
            if _seconds(row["vru_entry"]) - start > 43_200:
                start += 86_400
            end += 86_400 * -(-(start - end) // 86_400) if end < start else 0
            served[row["agent"]].append((day + start, day + end, row["call"]))
    return {
        frozenset((one, other))
        for calls in served.values()
        for (begun, ended, one), (began, end, other) in combinations(calls, 2)
        if begun < end and began < ended
    }


def _seconds(time_of_day: str) -> int:
    hours, minutes, seconds = map(int, time_of_day.split(":"))
    return hours * 3600 + minutes * 60 + seconds


def main() -> int:
    for pair in sorted(map(sorted, overlapping_calls(Path(sys.argv[1])))):
        print(*pair)
    return 0


if __name__ == "__main__":
    sys.exit(main())
