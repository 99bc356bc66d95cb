"""The audit: reads a chain's log, replays it into a ledger of its own, and checks ESC-n.

    facts = gather(node, escrow, tip_jar, first_block)
    verdict = audit(facts)
    write(verdict, directory)
    print(line(verdict))

From files alone, with all cores: `audit_archive(Archive.read(folder))`.

Read in this order: facts (what is looked at), book and ledger (what follows from events), check and
consent (was each event allowed?), compare (did the contract come to the same?), looks (what is
allowed and odd), judge (all of it), report and export; collect, archive, live and offline (where
the facts come from).
"""

from honorarium.audit.against import check_against
from honorarium.audit.archive import Archive, Contents
from honorarium.audit.collect import catch_up, gather
from honorarium.audit.explain import Explanation, Stretch, explain
from honorarium.audit.export import read_export, rows_of_export, write_export
from honorarium.audit.facts import Facts, Finding, Severity
from honorarium.audit.journals import Journals
from honorarium.audit.judge import RULES, Verdict, audit
from honorarium.audit.live import audit_live
from honorarium.audit.offline import audit_archive
from honorarium.audit.report import ReportNotWritten, as_json, line, write

__all__ = [
    "RULES",
    "Archive",
    "Contents",
    "Explanation",
    "Facts",
    "Finding",
    "Journals",
    "ReportNotWritten",
    "Severity",
    "Stretch",
    "Verdict",
    "as_json",
    "audit",
    "audit_archive",
    "audit_live",
    "catch_up",
    "check_against",
    "explain",
    "gather",
    "line",
    "read_export",
    "rows_of_export",
    "write",
    "write_export",
]
