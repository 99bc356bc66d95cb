"""The evidence of one session: a file that anyone verifies offline, down to block headers.

    bundle = evidence_of(contracts, session_id, read_given(paths, terms, domain))
    text = bundle.to_text()
    found = verify(Bundle.from_text(text), named=[block_hash])

Read in this order: bundle (what is in the file), encoding and merkle (what a chain hashes), ground
(what stands on the headers), verify and papers (what follows from it), given and collect (how a
bundle is made).
"""

from honorarium.audit.evidence.bundle import (
    LONGEST,
    Block,
    Bundle,
    Claims,
    EvidenceUnreadable,
    Sent,
    schema,
)
from honorarium.audit.evidence.collect import (
    LINKS,
    NodeNotBelieved,
    StateForgotten,
    evidence_of,
    evidence_of_async,
)
from honorarium.audit.evidence.found import Examined, Standing, Statement, as_record
from honorarium.audit.evidence.given import Given, PaperUnreadable, read_given
from honorarium.audit.evidence.verify import verify

__all__ = [
    "LINKS",
    "LONGEST",
    "Block",
    "Bundle",
    "Claims",
    "EvidenceUnreadable",
    "Examined",
    "Given",
    "NodeNotBelieved",
    "PaperUnreadable",
    "Sent",
    "Standing",
    "StateForgotten",
    "Statement",
    "as_record",
    "evidence_of",
    "evidence_of_async",
    "read_given",
    "schema",
    "verify",
]
