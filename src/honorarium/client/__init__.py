"""The client's side: a wallet that opens sessions, and a meter that counts them."""

from honorarium.client.meter import Meter, NotMetered, WrongMeterKey
from honorarium.client.wallet import Client, OpenSession

__all__ = ["Client", "Meter", "NotMetered", "OpenSession", "WrongMeterKey"]
