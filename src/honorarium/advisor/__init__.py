"""The advisor's side: quotes and earnings."""

from honorarium.advisor.advisor import Advisor, AsyncAdvisor, Earned

__all__ = ["Advisor", "AsyncAdvisor", "Earned"]
