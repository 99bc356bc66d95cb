"""One paid session with all of its papers, on a chain of its own: what evidence is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from honorarium.advisor import Advisor, VoucherBook
from honorarium.audit.evidence import Bundle, evidence_of, read_given
from honorarium.chain import Contracts, Engine, LocalChain
from honorarium.client import Client, Meter
from honorarium.ids import SessionId
from honorarium.protocol import Tariff
from honorarium.protocol.documents import write_voucher
from honorarium.protocol.terms import Terms
from honorarium.units import UnixTime


@dataclass(frozen=True)
class Paid:
    """A closed session, and where both sides keep their papers."""

    contracts: Contracts
    terms: Terms
    session_id: SessionId
    voucher: Path
    meter: Path
    book: Path

    def evidence(self, *papers: Path, block: int | None = None) -> Bundle:
        """With these papers, or with all of them."""
        chosen = papers or (self.voucher, self.meter, self.book)
        given = read_given(chosen, self.terms, self.contracts.escrow)
        return evidence_of(self.contracts, self.session_id, given, block=block)


@contextmanager
def paid_session(engine: Engine, folder: Path) -> Iterator[Paid]:
    """Ten minutes of advice with a pause: a meter and a book keep it, and it is rated."""
    with LocalChain.start(engine=engine) as chain, Contracts.deploy(chain) as contracts:
        yield live(contracts, chain, folder)


def live(contracts: Contracts, chain: LocalChain, folder: Path) -> Paid:
    advisor = Advisor(contracts, chain.accounts["advisor"])
    client = Client(contracts, chain.accounts["client"])
    token, node = contracts.token(), contracts.node
    tariff = Tariff.of(
        token,
        "1.20",
        per="minute",
        connect_fee="2",
        included_units=1,
        step_units=3,
        step_price="0.90",
        max_units=10,
    )
    quote = advisor.quote(
        client.address,
        client.meter_key.address,
        tariff,
        platform=chain.accounts["platform"].address,
        platform_bps=250,
    )
    terms, escrow = quote.terms, contracts.escrow
    session = client.open(quote)
    deposit, began = terms.whole_deposit(), session.opened_at
    papers = Paid(
        contracts,
        terms,
        session.id,
        folder / "voucher.json",
        folder / "meter.jsonl",
        folder / "book.jsonl",
    )
    meter = Meter(terms, escrow, client.meter_key, deposit, path=papers.meter)
    book = VoucherBook(terms, escrow, chain.accounts["advisor"], deposit, began, path=papers.book)
    meter.answer(at=began + 30)
    meter.pause(at=began + 150)
    meter.resume(at=began + 210)
    voucher = meter.read(at=began + 310)
    meter.acknowledge(book.take(voucher, meter.journal.entries, at=began + 310))
    node.set_time(UnixTime(began + 310))
    node.request("evm_mine")
    advisor.close(terms, voucher)
    client.rate(session, 5)
    text = write_voucher(voucher, session.id, escrow, meter.journal.entries)
    papers.voucher.write_text(text)
    meter.release()
    book.release()
    return papers
