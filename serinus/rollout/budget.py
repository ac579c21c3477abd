"""The canary's budget of the day: what it may cost, what it will cost by midnight, and whether a rise still fits."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from serinus.rollout.demand import Action
from serinus.rollout.record import Record
from serinus.rollout.violation import Violation

_MILLION = 1_000_000
MOST_MONEY = 1e12
_Price = Annotated[float, Field(ge=0, le=1e9)]


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in one currency throughout."""

    input_per_million: float
    output_per_million: float

    def of(self, input_tokens: float, output_tokens: float) -> float:
        """Return the cost of so many tokens."""
        return (input_tokens * self.input_per_million + output_tokens * self.output_per_million) / _MILLION


class Budget(Record):
    """What a stack lets its canary cost in a day, and what is to be done when that is spent."""

    per_day: float = Field(ge=0.01, le=MOST_MONEY, description="what the canary may cost in a day of UTC, 0.01 or more")
    input_per_million: _Price = Field(default=0.0, description="the price of a million tokens read, 0 or more")
    output_per_million: _Price = Field(default=0.0, description="the price of a million tokens written, 0 or more")
    action: Annotated[Action, Field(strict=False)] = Field(
        default=Action.HOLD, description="rollback, hold or notify: once a day, when the budget is spent"
    )

    @model_validator(mode="after")
    def _has_a_price(self) -> Self:
        if not self.input_per_million + self.output_per_million:
            raise ValueError("a budget needs a price above 0")
        return self

    @property
    def price(self) -> Price:
        """The prices."""
        return Price(self.input_per_million, self.output_per_million)


@dataclass(frozen=True, slots=True)
class Spending:
    """The cost since midnight, and the cost of the last `recent_seconds`, which says how fast it grows."""

    today: float
    recent: float
    recent_seconds: float


def midnight(now: datetime) -> datetime:
    """Return when the day of `now` began. It is UTC's, wherever the caller is."""
    return datetime.combine(now.astimezone(UTC).date(), time.min, tzinfo=UTC)


def forecast(spending: Spending, now: datetime, growth: float = 1.0) -> float:
    """Return the cost of the day at its end if it goes on as recently, times `growth`."""
    if not spending.recent_seconds:
        return spending.today
    remaining = (midnight(now) + timedelta(days=1) - now).total_seconds()
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
