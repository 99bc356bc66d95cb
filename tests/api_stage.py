"""A desk that serves: a real chain, a real ledger, a real server, on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from websockets.sync.client import ClientConnection, connect

from conftest import Place
from honorarium.advisor import Advisor
from honorarium.api.app import create_app
from honorarium.api.patience import server_settings
from honorarium.chain import Contracts, Node, Relayable, Sender, calls
from honorarium.chain.deploy import shown
from honorarium.client import Client
from honorarium.desk import Desk, Settings
from honorarium.ids import Address
from honorarium.protocol import Key, Quote, Tariff
from honorarium.protocol.documents import read_quote, read_terms, write_quote
from honorarium.protocol.sign_in import SignIn, text_hash
from honorarium.units import UnixTime

PRICE = 1_500_000
TARIFF = Tariff.per_minute(PRICE, max_units=10)
OFFER = {
    "tariff": {"unitPrice": str(PRICE), "unitSeconds": 60, "maxUnits": 10},
    "closeGrace": 600,
    "holds": 3600,
}
MONEY = 10**10
COIN = 10**18


@dataclass
class Served:
    """A replica that serves. Ask it with `http`."""

    place: Place
    settings: Settings
    relayer: Key
    url: str = ""
    http: httpx.Client = field(default_factory=httpx.Client)
    desk: Any = None
    front: Any = None
    app: Any = None
    loop: Any = None

    def do(self, coroutine: Any) -> Any:
        """What a coroutine gives on the server's own event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **more: str
    ) -> httpx.Response:
        """One request; `more` are headers, `idempotency_key` among them."""
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return self.http.request(method, self.url + path, json=body, headers=headers)

    def listen(self, path: str, **headers: str) -> ClientConnection:
        """A WebSocket."""
        return connect(self.url.replace("http", "ws") + path, additional_headers=headers)

    def sign_in(self, key: Key, statement: str = "Sign in.") -> str:
        """A token for this account."""
        found = self.ask("POST", "/v1/sign-in", self.message(key, statement))
        assert found.status_code == 200, found.text
        token: str = found.json()["token"]
        return token

    def message(self, key: Key, statement: str = "Sign in.", **changes: Any) -> dict[str, str]:
        """A signed message to sign in with."""
        told = self.ask("POST", "/v1/sign-in/nonce").json()
        now = int(time.time())
        values = {
            "domain": told["domain"],
            "account": key.address,
            "uri": told["uri"],
            "chain_id": told["chainId"],
            "nonce": told["nonce"],
            "issued_at": UnixTime(now),
            "expires_at": UnixTime(now + 600),
            "statement": statement,
            **changes,
        }
        return signed(key, SignIn(**values).text())

    def enrol(self, key: Key, name: str = "Ada", wallet: Address | None = None) -> str:
        """A token of an advisor with the tariff `standard`; the key's own account, or a contract
        wallet that takes its signature.
        """
        account = wallet or key.address
        statement = self.ask("GET", "/v1").json()["enrolmentStatement"]
        enrolment = self.message(key, statement, account=account)
        token: str = self.ask("POST", "/v1/sign-in", enrolment).json()["token"]
        path = f"/v1/advisors/{shown(account)}"
        put = self.ask(
            "PUT", path, {"name": name, "available": True, "enrolment": enrolment}, token=token
        )
        assert put.status_code == 200, put.text
        offer = {**OFFER, "token": shown(self.place.manifest.address("TestUSD"))}
        put = self.ask("PUT", f"{path}/tariffs/standard", offer, token=token)
        assert put.status_code == 200, put.text
        return token


def slug(answer: httpx.Response) -> str:
    """The kind of problem that an answer tells of."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).removeprefix("urn:honorarium:problem:")


def signed(key: Key, text: str) -> dict[str, str]:
    """A message and its signature."""
    return {"message": text, "signature": "0x" + key.sign(text_hash(text)).to_bytes().hex()}


@contextmanager
def served(place: Place, folder: Path, relayer: Key, **changes: Any) -> Iterator[Served]:
    """A replica on a port of its own."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", 0))
    manifest = folder / "manifest.json"
    place.manifest.save(manifest)
    settings = Settings(
        **{
            "rpc": place.chain.url,
            "manifest": manifest,
            "ledger": str(folder / "desk.sqlite3"),
            "host": "127.0.0.1",
            "port": listening.getsockname()[1],
            **changes,
        }
    )
    one = Served(place, settings, relayer, f"http://127.0.0.1:{settings.port}")
    ready, failed = threading.Event(), []
    servers: list[uvicorn.Server] = []

    async def main() -> None:
        one.loop = asyncio.get_running_loop()
        async with await Desk.connect(settings, relayer, state=folder / "state") as desk:
            # A process settles for one desk at a time, and here nothing needs to be settled.
            await desk.watcher.look()
            await desk.watcher.start()
            one.desk, one.app = desk, create_app(desk)
            one.front = one.app.state.front
            server = uvicorn.Server(uvicorn.Config(one.app, **server_settings(settings)))
            servers.append(server)
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            ready.set()
            await serving
            await desk.watcher.stop()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(60)
    if failed:
        raise failed[0]
    with httpx.Client(timeout=30) as one.http:
        try:
            yield one
        finally:
            servers[0].should_exit = True
            thread.join(30)
            listening.close()


@dataclass
class People:
    """A client and an advisor who sign by the SDK, without sending anything."""

    contracts: Contracts
    client: Client
    advisor: Advisor
    client_key: Key
    advisor_key: Key
    token: str = ""  # the advisor's

    def wanted(self, **changes: Any) -> dict[str, Any]:
        """What the client asks for."""
        return {
            "advisor": shown(self.advisor_key.address),
            "tariff": "standard",
            "client": shown(self.client_key.address),
            "meterKey": shown(self.client.meter_key.address),
            **changes,
        }

    def in_advance(self, **terms: Any) -> Quote:
        """A quote signed by the advisor's own hand."""
        client, meter = self.client_key.address, self.client.meter_key.address
        return self.advisor.quote(client, meter, TARIFF, close_grace=600, **terms)

    def document(self, quote: Quote) -> dict[str, Any]:
        """The quote as JSON."""
        found: dict[str, Any] = json.loads(write_quote(quote, self.contracts.escrow))
        return found


def quote_of(document: Mapping[str, Any]) -> Quote:
    """The quote that an answer carries."""
    return read_quote(json.dumps(document))[0]


def relayable(given: Relayable) -> dict[str, Any]:
    """As JSON."""
    found: dict[str, Any] = json.loads(given.to_json())
    return found


def contract_wallet(place: Place, code: bytes) -> Address:
    """A contract with this code."""
    with Node(place.chain.url) as node:
        creation = bytes((0x60, len(code))) + bytes.fromhex("80600b6000396000f3") + code
        wallet = Sender(node, place.key("payer")).transact(None, creation).contract
    assert wallet is not None
    return wallet


def funded(place: Place, *keys: Key, coin: int = 0) -> None:
    """Gives accounts test tokens, and coin."""
    with Node(place.chain.url) as node:
        bank = Sender(node, place.key("payer"))
        people = [key.address for key in keys]
        minted = calls.mint_batch(people, [MONEY] * len(people))
        bank.transact(place.manifest.address("TestUSD"), minted)
        for key in keys if coin else ():
            bank.transact(key.address, b"", coin)


@contextmanager
def people(one: Served, folder: Path) -> Iterator[People]:
    """New people, the advisor enrolled at this desk."""
    client_key, advisor_key = Key.generate(), Key.generate()
    funded(one.place, client_key)
    with Node(one.place.chain.url) as node:
        contracts = Contracts.attach(node, one.place.manifest, folder)
        found = People(
            contracts,
            Client(contracts, client_key),
            Advisor(contracts, advisor_key),
            client_key,
            advisor_key,
        )
        found.token = one.enrol(advisor_key)
        yield found
        contracts.close()


@contextmanager
def agent(one: Served, who: People, **habits: Any) -> Iterator[None]:
    """The advisor's agent, at this replica. `signs`: what it answers to the terms."""
    signs: Callable[[Any], dict[str, Any]] = habits.get("signs", lambda terms: sign(who, terms))
    with one.listen("/v1/agent") as socket:
        socket.send(json.dumps({"token": who.token}))
        assert json.loads(socket.recv(10)) == {"ready": True}
        threading.Thread(target=_serve, args=(socket, signs), daemon=True).start()
        yield


def _serve(socket: ClientConnection, signs: Callable[[Any], dict[str, Any]]) -> None:
    with contextlib.suppress(Exception):
        while True:
            asked = json.loads(socket.recv())
            socket.send(json.dumps({"id": asked["id"], **signs(asked["sign"])}))


def sign(who: People, terms: Any) -> dict[str, Any]:
    """What an honest agent answers."""
    session_id = read_terms(terms).session_id(who.contracts.escrow)
    return {"signature": "0x" + who.advisor_key.sign(session_id).packed().hex()}
