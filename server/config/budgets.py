"""What may be spent, by whom, in which period."""

from typing import Annotated, Literal

from pydantic import Field

from server.config.section import Name, Section, Text

# Amounts are kept as integers of nano-dollars in 64 bits: 9.2 billion dollars.
PERIOD_USD_MAX = 1e9

Aim = Literal["least_cost", "best_within_budget"]


class ScopeConfig(Section):
    """Whose requests draw on a budget; every key that is given has to match, none means all."""

    tenant: Text | None = None
    """Those of this tenant."""
    traffic_class: str | None = None
    """Those of this class."""


class BudgetConfig(Section):
    """Money for a period, in UTC."""

    name: Name
    """How it is called, unique among the budgets."""
    scope: ScopeConfig = ScopeConfig()
    """Whose requests draw on it."""
    amount_usd: Annotated[float, Field(gt=0, le=PERIOD_USD_MAX)]
    """Dollars for each period."""
    period: Literal["hour", "day", "week", "month"]
    """hour, day, week or month, each from its start in UTC; a week starts on Monday."""
    kind: Literal["soft", "hard"] = "soft"
    """A soft budget refuses nothing, and turnout plan says what will be left; hard is not built."""
    aim: Aim = "least_cost"
    """For its requests, within all promises: the least cost, or the most accuracy that it buys."""
