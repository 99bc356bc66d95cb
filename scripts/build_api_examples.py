"""Plays lives of sessions through a desk and keeps what was said: the examples of the API.

    .venv/bin/python scripts/build_api_examples.py

They are in src/honorarium/api/examples.json, for each operation the last request that it answered
with success. tests/test_api_schema.py checks them against the document that they are part of; run
this again when it says so.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import httpx

from api_stage import (
    COIN,
    PRICE,
    People,
    Served,
    agent,
    funded,
    people,
    quote_of,
    relayable,
    served,
)
from conftest import Place
from honorarium.api.examples import EXAMPLES
from honorarium.chain import LocalChain, Node, Relayable, calls, deploy
from honorarium.chain.deploy import shown
from honorarium.ids import Hash
from honorarium.protocol import Entry, EntryKind, Journal, Key, Quote, SignedVoucher, Voucher
from honorarium.units import UnixTime

HOOK = "http://127.0.0.1:9"
"""Nobody is there, so the delivery that is shown waits to be tried again."""

CHARACTERS = 400
"""So many of what is no JSON."""


class Recorder:
    """Hears what is asked and answered, and knows by which operation."""

    def __init__(self, one: Served) -> None:
        self.one, self.found = one, dict[str, dict[str, Any]]()
        one.http.event_hooks["response"].append(self.hear)

    def hear(self, response: httpx.Response) -> None:
        if response.status_code >= 300:
            return
        asked = response.request
        name, values = self._operation(asked.method, asked.url.path)
        known: dict[str, Any] = {"path": values} if values else {}
        if asked.content:
            known["request"] = json.loads(asked.content)
        if response.read() and name != "get_evidence":  # which is a file
            known["answer"] = {str(response.status_code): _body(response)}
        self.found.setdefault(name, {}).update(known)

    def _operation(self, method: str, path: str) -> tuple[str, dict[str, str]]:
        """Its id, and what stands for the variables of its path."""
        for template, operations in self.one.app.openapi()["paths"].items():
            pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", template)
            found = re.fullmatch(pattern, path)
            if found is not None and method.lower() in operations:
                return operations[method.lower()]["operationId"], found.groupdict()
        raise LookupError(f"{method} {path}")

    def text(self) -> str:
        """All of it, as of a desk that has a name."""
        told = json.dumps(self.found, indent=1, sort_keys=True)
        for here, name in ((self.one.url, "https://desk.example"), (HOOK, "https://shop.example")):
            told = told.replace(here, name)
        place = self.one.url.removeprefix("http://")
        return told.replace(place, "desk.example") + "\n"


def _body(response: httpx.Response) -> Any:
    if "json" in response.headers["content-type"]:
        return response.json()
    return response.text[:CHARACTERS].rpartition("\n")[0] + "\n"


class Life:
    """One advisor and one client, who ask for everything that can be asked for."""

    def __init__(self, one: Served, who: People) -> None:
        self.one, self.who = one, who
        self.advisor = f"/v1/advisors/{shown(who.advisor_key.address)}"
        self.client_token = one.sign_in(who.client_key)

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        answer = self.one.ask(method, path, body, token=token)
        answer.raise_for_status()
        return (
            answer.json() if answer.content and "json" in answer.headers["content-type"] else None
        )

    def act(self, path: str, given: Relayable) -> None:
        self.ask("POST", path, {"relayable": relayable(given)})

    def path(self, quote: Quote, of: str = "sessions") -> str:
        return f"/v1/{of}/0x{quote.session_id(self.who.contracts.escrow).hex()}"

    def quoted(self) -> Quote:
        """A quote that the advisor handed in."""
        quote = self.who.in_advance()
        body = {"quote": self.who.document(quote)}
        self.ask("POST", f"{self.advisor}/quotes", body, self.who.token)
        return quote

    def opened(self, quote: Quote) -> None:
        opening = relayable(self.who.client.sign_opening(quote, 10 * PRICE))
        body = {"quote": self.who.document(quote), "relayable": opening}
        self.ask("POST", "/v1/sessions", body)

    # ------------------------------------------------------------------ its chapters

    def look_around(self) -> None:
        for path in ("/v1", "/healthz", "/readyz", "/metrics", "/v1/advisors", self.advisor):
            self.ask("GET", path)
        block = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
        self.ask("POST", "/v1/chain", block)

    def agree(self) -> Quote:
        with agent(self.one, self.who):
            document = self.ask("POST", "/v1/quotes", self.who.wanted())["quote"]
        quote = quote_of(document)
        self.ask("GET", self.path(quote, "quotes"))
        for of in ("quotes", "sessions"):
            revoked = self.quoted()
            signed = self.who.advisor.sign_revocation(revoked)
            self.act(f"{self.path(revoked, of)}/revoke", signed)
        return quote

    def advise(self, quote: Quote) -> SignedVoucher:
        """Opens, and meters a minute."""
        who, path = self.who, self.path(quote)
        self.act("/v1/deposits", who.client.sign_deposit(20 * PRICE))
        self.opened(quote)
        self.act(f"{path}/top-up", who.client.sign_top_up(quote.terms, 12 * PRICE))
        noted = self.ask("POST", f"{path}/notes", {"kind": "answered"}, who.token)["notes"]
        began = Entry(UnixTime(noted[0]["at"]), EntryKind.ANSWERED)
        session_id = quote.session_id(who.contracts.escrow)
        journal = Journal(session_id, [began])
        told = {"at": began.at, "kind": "answered"}
        self.ask("POST", f"{path}/entries", {"entries": [told], "after": 0}, self.client_token)
        signed = SignedVoucher.sign(
            Voucher(session_id, 1, journal.head), who.client.meter_key, who.contracts.escrow
        )
        voucher = {
            "units": 1,
            "journal": "0x" + journal.head.hex(),
            "signature": "0x" + signed.signature.to_bytes().hex(),
            "entries": [told],
        }
        self.ask("POST", f"{path}/vouchers", voucher)
        self.ask("POST", f"{path}/settle", token=who.token)
        for what in ("reading", "journal"):
            self.ask("GET", f"{path}/{what}", token=self.client_token)
        self.ask("GET", f"{self.advisor}/earnings", token=who.token)
        return signed

    def end(self, quote: Quote, signed: SignedVoucher) -> None:
        who, path = self.who, self.path(quote)
        closing = calls.close_for(who.advisor.sign_closing(quote.terms, signed))
        self.act(f"{path}/close", Relayable("close", who.contracts.escrow.contract, closing))
        self.ask("GET", f"{path}/events?access_token={self.client_token}")
        self.act(f"{path}/tip", who.client.sign_tip(quote.terms, PRICE))
        self.act(f"{path}/rate", who.client.sign_rating(quote.terms, 5))
        self.act(f"{path}/answer", who.advisor.sign_answer(quote.terms, Hash(b"\2" * 32)))
        for each in (path, f"{path}/evidence"):
            self.ask("GET", each, token=self.client_token)
        mine = f"/v1/sessions?client={shown(who.client_key.address)}"
        self.ask("GET", mine, token=self.client_token)
        self.ask("GET", f"/v1/accounts/{shown(who.advisor_key.address)}/balances")
        self.act("/v1/withdrawals", who.advisor.sign_withdrawal())

    def leave(self) -> None:
        """A session whose client leaves, and whose advisor never says a word."""
        quote = self.quoted()
        self.opened(quote)
        self.act(f"{self.path(quote)}/leave", self.who.client.sign_leaving(quote.terms))
        with Node(self.one.place.chain.url) as node:
            node.request("evm_increaseTime", [quote.terms.close_grace + 1])
            node.request("evm_mine")
        self.ask("POST", f"{self.path(quote)}/finalize")

    def be_told(self) -> str:
        """A webhook's id."""
        wanted = {"url": f"{HOOK}/honorarium", "kinds": ["session.closed"]}
        made: str = self.ask("POST", "/v1/webhooks", wanted, self.client_token)["id"]
        return made

    def part(self, webhook: str) -> None:
        token = self.who.token
        self.ask("GET", "/v1/webhooks", token=self.client_token)
        self.ask("GET", f"/v1/webhooks/{webhook}/deliveries", token=self.client_token)
        self.ask("DELETE", f"/v1/webhooks/{webhook}", token=self.client_token)
        self.ask("DELETE", f"{self.advisor}/tariffs/standard", token=token)
        self.ask("PUT", self.advisor, {"available": False}, token)
        self.ask("DELETE", "/v1/sign-in", token=self.client_token)


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalChain.start(engine="anvil") as chain,
        Node(chain.url) as node,
    ):
        place = Place(chain, deploy(node, chain.accounts["operator"], test_token=True))
        relayer = Key.generate()
        funded(place, relayer, coin=10 * COIN)
        with served(place, Path(folder), relayer, webhooks_private=True) as one:
            heard = Recorder(one)
            with people(one, Path(folder) / "people") as who:
                life = Life(one, who)
                webhook = life.be_told()
                life.look_around()
                quote = life.agree()
                life.end(quote, life.advise(quote))
                life.leave()
                life.part(webhook)
            EXAMPLES.write_text(heard.text())
            print(f"{len(heard.found)} operations in {EXAMPLES.name}")


if __name__ == "__main__":
    main()
