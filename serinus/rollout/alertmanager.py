"""Reads what Alertmanager sends (webhook version 4) into demands.

Alertmanager delivers at least once, in any order, and never again what was answered with a 4xx. So a broken alert must
not take the others along, and a repeated one must not count twice.
"""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serinus.rollout.complaints import complaints
from serinus.rollout.demand import Action, Demand
from serinus.rollout.record import Moment

SERVICE = "serinus_service"
"""The label of an alert that names the service it is about."""
ACTION = "serinus_action"
"""The label of an alert that names what to do: rollback, hold or notify."""

MOST_ALERTS = 5000
LONGEST_REASON = 300
_LONGEST_BY = 100
# How many mistakes an answer names; one broken template makes as many as there are alerts.
_MOST_MISTAKES = 10

Labels = Annotated[
    dict[
        Annotated[str, Field(max_length=256)],
        Annotated[str, Field(max_length=8192)],
    ],
    Field(max_length=128, description="at most 128 texts by name"),
]


class Alert(BaseModel):
    """One alert. Unknown keys are ignored: newer Alertmanagers send more."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    status: Literal["firing", "resolved"] = Field(description="firing or resolved")
    labels: Labels
    annotations: Labels = {}
    starts_at: Moment = Field(alias="startsAt", description="an RFC 3339 time with its zone")
    fingerprint: str = Field(pattern=r"^[0-9A-Za-z]{1,64}$", description="1 to 64 letters or digits")


class Payload(BaseModel):
    """What is posted. The alerts are read one by one, so that a broken one is lost alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    version: Literal["4"] = Field(description='"4"')
    alerts: list[Any] = Field(max_length=MOST_ALERTS, description=f"a list of at most {MOST_ALERTS} alerts")
    truncated_alerts: int = Field(default=0, ge=0, alias="truncatedAlerts", description="an integer, 0 or more")


class Read(NamedTuple):
    """What a payload says: demands, the strongest first; how many alerts ended; how many are not for us; mistakes."""

    demands: list[Demand]
    resolved: int
    foreign: int
    mistakes: list[str]


def read(payload: Payload) -> Read:
    """Turn a payload into demands. An alert without a service is not for us; what can't be read is a mistake."""
    demands: list[Demand] = []
    mistakes: list[str] = []
    resolved = foreign = 0
    for place, one in enumerate(payload.alerts):
        try:
            alert = Alert.model_validate(one)
        except ValidationError as error:
            mistakes += [f"alerts.{place}.{told}" for told in complaints(Alert, error)]
            continue
        if not alert.labels.get(SERVICE):
            foreign += 1
        elif alert.status == "resolved":
            # It says that the cause is gone, not that somebody looked. What was cut stays cut.
            resolved += 1
        else:
            demands.append(_demand(alert))
    if payload.truncated_alerts:
        mistakes.append(f"truncatedAlerts: {payload.truncated_alerts} alerts were left out; set max_alerts to 0")
    order = list(Action)
    demands.sort(key=lambda demand: order.index(demand.action))
    return Read(demands, resolved, foreign, mistakes[:_MOST_MISTAKES])


def _demand(alert: Alert) -> Demand:
    name = alert.labels.get("alertname", "without a name")
    told = alert.annotations.get("summary") or alert.annotations.get("description") or f"{name} fires"
    asked = alert.labels.get(ACTION, "")
    try:
        action = Action(asked)
    except ValueError:
        # Somebody thought this alert worth acting on, and wrote it wrong: hold is what hurts nobody.
        action = Action.HOLD
        told = f"{told} ({ACTION} is {asked!r}; allowed: {', '.join(Action)})"
    return Demand(
        service=alert.labels[SERVICE],
        action=action,
        reason=plain(told, LONGEST_REASON),
        by=plain(f"alert {name}", _LONGEST_BY),
        # The same alert that fires anew later is another demand.
        fingerprint=f"{alert.fingerprint}@{alert.starts_at.isoformat()}",
        at=alert.starts_at,
    )


def plain(text: str, most: int) -> str:
    """Return `text` on one line, without control characters, in at most `most` characters."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


class Memory:
    """The fingerprints that were taken already. It is bounded in number and in time.

    One that is sent again and again is not forgotten meanwhile: an alert that fires for days is still the same one.
    """

    def __init__(self, most: int = 20_000, seconds: float = 86_400.0) -> None:
        self._most = most
        self._seconds = seconds
        self._seen: OrderedDict[str, datetime] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def knows(self, fingerprint: str, now: datetime) -> bool:
        """Whether it was taken within the time that is remembered; if so it is remembered from now on anew."""
        self._forget(now)
        if fingerprint not in self._seen:
            return False
        self.keep([fingerprint], now)
        return True

    def keep(self, fingerprints: Iterable[str], now: datetime) -> None:
        """Remember what was taken. The longest unseen go first where there are too many."""
        for fingerprint in fingerprints:
            self._seen[fingerprint] = now
            self._seen.move_to_end(fingerprint)
        while len(self._seen) > self._most:
            self._seen.popitem(last=False)

    def _forget(self, now: datetime) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            if (now - self._seen[oldest]).total_seconds() < self._seconds:
                return
            del self._seen[oldest]
