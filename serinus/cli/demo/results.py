"""What the demo measured, and what it heard from the commands that it ran."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from local.traffic import Answer


class Told(NamedTuple):
    """One line of `serinus promote --json`. `seconds` and `code`, the exit code, are 0 where the line has none."""

    event: str
    sentence: str
    ok: bool
    seconds: float
    code: int

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> Self:
        """Read one."""
        seconds = float(line.get("seconds") or 0.0)
        return cls(
            str(line["event"]), str(line["sentence"]), bool(line.get("ok", False)), seconds, int(line.get("exit", 0))
        )


def up_seconds(told: Iterable[Told]) -> float:
    """How long the last update took that went well; 0 where none did."""
    return next((one.seconds for one in reversed(list(told)) if one.event == "updated" and one.ok), 0.0)


@dataclass(frozen=True)
class Step:
    """One rung as it was climbed: the weight asked for, what users saw (shares in percent), seconds of `pulumi up`."""

    weight: int
    observed_share: float
    requests: int
    canary_requests: int
    users: int
    canary_users: int
    failed: int
    up_seconds: float


def observe(weight: int, answers: Sequence[Answer], canary: str, seconds: float) -> Step:
    """Count what users got at a weight; `canary` is the release's name, `seconds` those of the update."""
    on_canary = [answer for answer in answers if of(canary, answer)]
    return Step(
        weight=weight,
        observed_share=round(100 * len(on_canary) / len(answers), 2),
        requests=len(answers),
        canary_requests=len(on_canary),
        users=len({answer.user for answer in answers}),
        canary_users=len({answer.user for answer in on_canary}),
        failed=sum(answer.failed for answer in answers),
        up_seconds=round(seconds, 1),
    )


def of(release: str, answer: Answer) -> bool:
    """Tell whether this release answered, by its name without the digits of its id."""
    return answer.release.rpartition("-")[0] == release


@dataclass(frozen=True)
class Swap:
    """The end of the first act: seconds of the update, pods that were restarted or replaced, failed requests."""

    up_seconds: float
    restarts: int
    requests: int
    failed: int


@dataclass(frozen=True)
class SecondAct:
    """A bad release and its end. Seconds are from the first failed answer; None for what did not come.

    `fault_to_zero_s` ends with the last answer of the canary, `gateway_s` when the gateway itself says 0.
    """

    release: str
    weight: int
    fault_to_zero_s: float | None
    verdict_s: float | None
    cut_s: float | None
    gateway_s: float | None
    requests: int
    failed: int
    promoter_stopped: bool
    because: str

    @property
    def well(self) -> bool:
        """Whether the canary was cut by itself, and nobody raised it again."""
        return self.fault_to_zero_s is not None and self.cut_s is not None and self.promoter_stopped
