"""The advisor's side: quotes and earnings."""

from honorarium.advisor.advisor import Advisor, Earned

__all__ = ["Advisor", "Earned"]
