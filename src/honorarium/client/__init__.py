"""The client's side: a wallet that opens sessions, and a meter that counts them."""

from honorarium.client.client import AsyncClient, Client, OpenSession
from honorarium.client.meter import Meter, NotMetered, WrongMeterKey

__all__ = ["AsyncClient", "Client", "Meter", "NotMetered", "OpenSession", "WrongMeterKey"]
