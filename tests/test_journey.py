"""One voucher's journey, from the client's meter to the auditor's report.

Read it top to bottom, and open the files in the order in which it names them: this is the whole of
Honorarium on one page. Everything here is real: a Ganache, its contracts, transactions, logs.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from honorarium import audit
from honorarium.advisor import Advisor
from honorarium.chain import Contracts, LocalChain, Status, calls
from honorarium.client import Client
from honorarium.errors import TooManyUnits, WrongSignature
from honorarium.protocol import (
    EntryKind,
    Key,
    Quote,
    SignedVoucher,
    Tariff,
    Voucher,
    head_of,
)
from honorarium.units import BaseUnits, Seconds, UnixTime


def test_a_voucher_travels_from_the_meter_through_the_contract_to_the_auditor() -> None:
    with LocalChain.start(names=("operator", "client", "advisor", "platform")) as chain:
        contracts = Contracts.deploy(chain)
        client = Client(contracts, chain.accounts["client"])
        advisor = Advisor(contracts, chain.accounts["advisor"])
        platform = chain.accounts["platform"].address
        usd, node = contracts.default_token(), contracts.node

        # -- protocol/tariff.py: the price. 2.00 to connect, 1.20 a started minute, the first minute
        #    free, 0.90 from the fourth minute on, ten minutes at the most.
        tariff = Tariff(
            connect_fee=BaseUnits(2_000_000),
            unit_price=BaseUnits(1_200_000),
            unit_seconds=Seconds(60),
            included_units=1,
            step_units=3,
            step_price=BaseUnits(900_000),
            max_units=10,
        )
        assert tariff.fee(0) == 0  # nobody answered, nothing is due
        assert tariff.fee(1) == 2_000_000  # the connect fee, and a free minute
        assert tariff.fee(5) == 2_000_000 + 2 * 1_200_000 + 2 * 900_000

        # -- protocol/terms.py, protocol/signed.py: the agreement. What the advisor signs is its
        #    EIP-712 digest, and that is the session's id. 2.5 % of the fee are the platform's.
        quote = advisor.quote(
            client.address,
            client.meter_key.address,
            tariff,
            platform=platform,
            platform_bps=250,
        )
        terms, session_id = quote.terms, quote.session_id(contracts.escrow)
        assert terms.unpack(terms.pack()) == terms  # seven words carry all of it
        cheaper = replace(terms, tariff=replace(tariff, unit_price=BaseUnits(1)))
        with pytest.raises(WrongSignature):
            Quote(cheaper, quote.signature).verify(contracts.escrow)

        # -- client/client.py, chain/calls.py, chain/send.py → Sessions.sol, open: the client funds
        #    the terms. Now they are a session, and its deposit waits in the escrow.
        session = client.open(quote)
        deposit = tariff.fee(tariff.max_units)
        assert session.id == session_id
        held = node.read(calls.session(contracts.escrow.contract, session_id))
        assert (held.status, held.deposit, held.earned) == (Status.OPEN, deposit, 0)
        assert node.read(calls.token_balance(usd, contracts.escrow.contract)) == deposit

        # -- client/meter.py, protocol/journal.py: the advisor answers after 30 seconds, they talk
        #    for two minutes, pause for one, and talk for 100 seconds more.
        began, meter = session.opened_at, session.meter
        meter.answer(at=UnixTime(began + 30))
        assert meter.units(at=UnixTime(began + 31)) == 1  # a started minute counts whole
        meter.pause(at=UnixTime(began + 150))
        meter.resume(at=UnixTime(began + 210))
        now = UnixTime(began + 310)
        assert meter.units(at=now) == 4  # 220 seconds

        # -- protocol/messages.py: the reading, signed with the meter's key. It names no amount. It
        #    commits to the journal, so nobody can tell another story about these four minutes.
        voucher = meter.read(at=now)
        assert voucher.units == 4
        voucher.verify(terms, contracts.escrow)
        assert voucher.journal == head_of(session_id, meter.journal.entries)
        assert [e.kind for e in meter.journal.entries] == [
            EntryKind.ANSWERED,
            EntryKind.PAUSED,
            EntryKind.RESUMED,
        ]

        # -- Sessions.sol, settle: the chain's clock bounds what any signature can bill (ESC-5).
        #    Only seconds have passed on the chain; four minutes are refused, with the numbers.
        with pytest.raises(TooManyUnits) as refused:
            advisor.settle(terms, voucher)
        assert (refused.value.allowed, refused.value.given) == (1, 4)

        # -- Once the time has really passed, the same voucher settles: the contract computes the
        #    fee, gives the platform its part and the advisor the rest.
        node.set_time(now)
        node.request("evm_mine")
        earned = advisor.settle(terms, voucher)
        fee = 2_000_000 + 2 * 1_200_000 + 900_000
        assert (earned.units, earned.earned.base_units) == (4, fee)
        assert contracts.balance(usd, platform).base_units == fee * 250 // 10_000
        assert advisor.balance(usd).base_units == fee - fee * 250 // 10_000

        # -- ESC-3: a reading under any other key is worth nothing.
        forged = SignedVoucher.sign(
            Voucher(session_id, 10, voucher.journal), Key.generate(), contracts.escrow
        )
        with pytest.raises(WrongSignature):
            forged.verify(terms, contracts.escrow)

        # -- Sessions.sol, close: nothing newer came, so the same voucher closes (ESC-17). The
        #    unspent deposit goes back to the wallet that it came from.
        wallet = node.read(calls.token_balance(usd, client.address))
        closed = advisor.close(terms, voucher)
        assert closed.earned.base_units == fee
        assert node.read(calls.token_balance(usd, client.address)) == wallet + deposit - fee

        # -- Ratings.sol, TipJar.sol: what stands outside of the tariff.
        client.rate(terms, 5)
        client.tip(session, 1_000_000)

        # -- Ledger.sol, withdraw: the advisor takes what they earned.
        advisor.withdraw(usd)
        assert not advisor.balance(usd)
        assert node.read(calls.token_balance(usd, contracts.escrow.contract)) == fee * 250 // 10_000

        # -- audit/: somebody who trusts nobody reads the log, keeps books of their own and finds
        #    the contract's storage, the tokens and the signatures in accord with them.
        facts = audit.gather(node, contracts.escrow.contract, contracts.tip_jar, 0)
        verdict = audit.audit(facts)
        assert verdict.ok
        assert audit.line(verdict).startswith("AUDIT OK sessions=1 fees=5.3 ")

        # -- Had the escrow credited one base unit more than the tariff gives, it would be found
        #    under the rule's own name. tests/test_audit.py tries every kind of lie.
        assert not verdict.findings
