"""The report for people: a model of bounded size, and the page that is made of it."""

from honorarium.audit.page.model import ReportModel, TokenNamed, TokenSum, model_of
from honorarium.audit.page.page import as_html
from honorarium.audit.page.verdict import report_model, write_page

__all__ = [
    "ReportModel",
    "TokenNamed",
    "TokenSum",
    "as_html",
    "model_of",
    "report_model",
    "write_page",
]
