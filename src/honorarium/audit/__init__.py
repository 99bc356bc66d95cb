"""The audit: reads a chain's log, replays it into a ledger of its own, and checks ESC-n.

    facts = gather(node, escrow, tip_jar, first_block)
    verdict = audit(facts)
    write(verdict, directory)
    print(line(verdict))

Read in this order: facts (what is looked at), book (the ledger), check and consent (was each event
allowed?), compare (did the contract come to the same?), judge (all of it), report, collect.
"""

from honorarium.audit.collect import gather
from honorarium.audit.explain import Explanation, Stretch, explain
from honorarium.audit.facts import Facts, Finding
from honorarium.audit.judge import RULES, Verdict, audit
from honorarium.audit.report import ReportNotWritten, as_json, line, write

__all__ = [
    "RULES",
    "Explanation",
    "Facts",
    "Finding",
    "ReportNotWritten",
    "Stretch",
    "Verdict",
    "as_json",
    "audit",
    "explain",
    "gather",
    "line",
    "write",
]
