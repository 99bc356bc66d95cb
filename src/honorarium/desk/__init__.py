"""The desk: takes vouchers for advisors, keeps them durably, settles them."""

from honorarium.desk.desk import Desk, OtherLedger
from honorarium.desk.intake import DeskBusy, Intake, TooMuchJournal
from honorarium.desk.readings import Reading, Readings
from honorarium.desk.settings import Settings, load_settings, unknown_variables

__all__ = [
    "Desk",
    "DeskBusy",
    "Intake",
    "OtherLedger",
    "Reading",
    "Readings",
    "Settings",
    "TooMuchJournal",
    "load_settings",
    "unknown_variables",
]
