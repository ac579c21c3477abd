"""The canary's budget of the day: what it has cost, what it will cost by midnight, and whether a rise still fits."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from serinus.rollout.violation import Violation

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in one currency throughout."""

    input_per_million: float
    output_per_million: float

    def of(self, input_tokens: float, output_tokens: float) -> float:
        """Return the cost of so many tokens."""
        return (input_tokens * self.input_per_million + output_tokens * self.output_per_million) / _MILLION


@dataclass(frozen=True, slots=True)
class Spending:
    """The cost since midnight, and the cost of the last `recent_seconds`, which says how fast it grows."""

    today: float
    recent: float
    recent_seconds: float


def forecast(spending: Spending, now: datetime, growth: float = 1.0) -> float:
    """Return the cost of the day at its end if it goes on as recently, times `growth`.

    The day ends at midnight in the time zone of `now`.
    """
    if not spending.recent_seconds:
        return spending.today
    midnight = datetime.combine(now.date() + timedelta(days=1), time.min, tzinfo=now.tzinfo)
    remaining = (midnight.astimezone(UTC) - now.astimezone(UTC)).total_seconds()
    return spending.today + growth * spending.recent / spending.recent_seconds * remaining


def check_budget(limit: float, spending: Spending, now: datetime, old: int, new: int) -> list[Violation]:
    """Check that the day's budget is not spent, and that a rise from `old` to `new` percent leaves it unspent.

    A decrease is always allowed; so is a first rise, of which no cost is known yet.
    """
    if new <= old:
        return []
    if spending.today >= limit:
        sentence = f"the canary has cost {spending.today:.2f} today, the budget is {limit:.2f}"
        return [Violation("budget-spent", sentence, "Wait until midnight, or raise the budget.")]
    expected = forecast(spending, now, new / old if old else 1.0)
    if expected > limit:
        sentence = f"at {new} % the canary would cost {expected:.2f} by midnight, the budget is {limit:.2f}"
        return [Violation("budget-too-small", sentence, "Wait until midnight, or raise the budget.")]
    return []
