"""The bill of the day: what a canary with a budget has cost so far, as far as that is known.

The day is UTC's. What is not known is never "within the budget": without a count no rise is allowed, and what was
counted before goes on to count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import ConfigDict, Field

from serinus.rollout.budget import MOST_MONEY, Budget, Price, Spending, check_budget, forecast, midnight
from serinus.rollout.demand import Action
from serinus.rollout.record import Moment, Record
from serinus.rollout.violation import Violation

EVERY_SECONDS = 30.0
"""How often the tokens are counted."""
_FRESH = timedelta(seconds=100)
_HOUR = 3600.0
# The rate is that of this step, and of no more than its last minutes.
_LEAST_SECONDS, _MOST_SECONDS = 60, 600

_Money = Annotated[float, Field(ge=0, le=MOST_MONEY, description="in the currency of the prices, 0 or more")]


class Bill(Record):
    """What the canary has cost today, and how the day ends if it goes on like this.

    `per_hour` and the forecasts are missing where nothing is known now; then `spent` is what was known last.
    """

    # As in the status that holds it: a newer agent may say more.
    model_config = ConfigDict(extra="ignore")

    at: Moment = Field(description="when the tokens were counted, an RFC 3339 time with its zone")
    per_day: _Money
    spent: _Money | None = None
    per_hour: _Money | None = None
    forecast: _Money | None = Field(default=None, description="the cost of the day at its end, at today's rate")
    forecast_at_next: _Money | None = Field(default=None, description="the same, from now on at the next rung's share")
    acted: bool = Field(default=False, description="true once the budget was spent and its action was taken")

    @property
    def overspent(self) -> bool:
        """Whether the budget is spent, by all that is known."""
        return self.spent is not None and self.spent >= self.per_day

    def __str__(self) -> str:
        return f"the canary has cost {self.spent or 0.0:.2f} today, the budget is {self.per_day:.2f}"


@dataclass(frozen=True, slots=True)
class Owed:
    """Whose tokens are to be counted: a release's, at its price, in a step that began at `since`."""

    namespace: str
    release: str
    price: Price
    since: datetime


@dataclass(frozen=True, slots=True)
class Paid:
    """What a release was found to have cost. `at` is the wall clock's, `tick` that of the clock without jumps."""

    release: str
    spending: Spending
    at: datetime
    tick: datetime

    def counts(self, release: str, tick: datetime) -> bool:
        """Tell whether this is of that release, and news."""
        return self.release == release and tick - self.tick <= _FRESH


def windows(now: datetime, step_since: datetime) -> tuple[int, int]:
    """Return how many seconds to look back, for the day and for the rate of a step that began then."""
    today, step = ((now - since).total_seconds() for since in (midnight(now), step_since))
    return max(round(today), _LEAST_SECONDS), round(min(max(step, _LEAST_SECONDS), _MOST_SECONDS))


def read_tokens(rows: object) -> Mapping[str, float] | None:
    """Read Prometheus' rows of tokens by `type`; None unless they say a number of both, `input` and `output`."""
    found: dict[str, float] = {}
    try:
        for row in rows if isinstance(rows, list) else []:
            found[str(row["metric"]["type"])] = float(row["value"][1])
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    # Neither NaN nor an infinite number is between the two.
    return found if all(0.0 <= found.get(kind, -1.0) <= 1e15 for kind in ("input", "output")) else None


def reckon(
    budget: Budget, paid: Paid | None, before: Bill | None, now: datetime, weight: int, upper: int | None
) -> Bill:
    """Make out the bill of today.

    `paid` is the newest count, None where none counts; `before` the bill that stands, of the same release; `weight` the
    percentage that is served and `upper` the next rung, None at the top. A cost does not shrink in a day: a Prometheus
    that has forgotten the morning does not give it back.
    """
    today = midnight(now)
    if before is not None and before.at < today:
        before = None
    known = before.spent if before else None
    acted = before is not None and before.acted and before.per_day == budget.per_day
    if paid is None or paid.at < today:
        return Bill(at=before.at if before else now, per_day=budget.per_day, spent=known, acted=acted)
    one = paid.spending
    spending, at = Spending(max(one.today, known or 0.0), one.recent, one.recent_seconds), paid.at.astimezone(UTC)
    growth = upper / weight if upper and weight else 1.0
    return Bill(
        at=at,
        per_day=budget.per_day,
        spent=_rounded(spending.today),
        per_hour=_rounded(spending.recent / spending.recent_seconds * _HOUR),
        forecast=_rounded(forecast(spending, at)),
        forecast_at_next=None if upper is None else _rounded(forecast(spending, at, growth)),
        acted=acted,
    )


def check_bill(budget: Budget | None, bill: Bill | None, old: int, new: int) -> list[Violation]:
    """Check a change of the weight from `old` to `new` percent against the bill; without a budget all is allowed."""
    if budget is None or new <= old:
        return []
    known = bill is not None and (bill.per_hour is not None or bill.overspent)
    if bill is None or bill.spent is None or not known:
        sentence = "what the canary costs is not known now, and it has a budget"
        remedy = "Check agent.prometheus, and that it reads the canary's pods; or take the setting budget out."
        return [Violation("budget-unknown", sentence, remedy)]
    return check_budget(budget.per_day, Spending(bill.spent, bill.per_hour or 0.0, _HOUR), bill.at, old, new)


def asked(budget: Budget | None, bill: Bill | None) -> Action | None:
    """Return what is to be done about a bill that is too large; None where nothing is, or where it was done."""
    return budget.action if budget is not None and bill is not None and bill.overspent and not bill.acted else None


def _rounded(money: float) -> float:
    """Round to a hundredth of a cent, since people read it too, and keep it within what a status may say."""
    return min(round(money, 4), MOST_MONEY)
