"""A table of steps and what the rules say of each: plain data, so that every reader of the rules can be run over it.

A case changes a step that passes, 5 → 20 on a ladder with bakes and an approval, and names the codes that must follow.
"""

from dataclasses import dataclass, field
from typing import Any

NOW = "2026-11-21T12:00:00Z"
LADDER = {
    "rungs": [
        {"weight": 5, "bake_seconds": 600},
        {"weight": 20, "bake_seconds": 1800},
        {"weight": 50, "bake_seconds": 3600},
        {"weight": 100, "approval": True},
    ]
}
PASSING: dict[str, Any] = {
    "service": "chat",
    "canary": "v2-0f3a9c21",
    "weight": 5,
    "allowedWeight": 20,
    "verdict": "pass",
    "because": "no worse than stable",
    "stableCounts": {"requests": 9500, "errors": 9, "slow": 300},
    "canaryCounts": {"requests": 500, "errors": 0, "slow": 17},
    "stepStartedAt": "2026-11-21T10:00:00Z",
    "bakedSeconds": 600,
    "observedAt": "2026-11-21T11:59:57Z",
    "observedGeneration": 7,
}
HOLD = {"reason": "every answer failed", "by": "serinus-agent", "since": "2026-11-21T11:30:00Z"}
APPROVAL = {"weight": 100, "by": "ada", "at": "2026-11-21T11:30:00Z"}
TOP = {"weight": 50, "allowedWeight": 100, "bakedSeconds": 3600}


@dataclass(frozen=True)
class Case:
    """A step from `old` to `new`, the status as changed by `status` (None: no status), and the codes to expect."""

    name: str
    codes: list[str]
    old: int | None = 5
    new: int = 20
    status: dict[str, Any] | None = field(default_factory=dict)

    def document(self) -> dict[str, Any] | None:
        """Return the status's document; a key changed to None is left out."""
        if self.status is None:
            return None
        return {key: value for key, value in {**PASSING, **self.status}.items() if value is not None}


CASES = [
    Case("the step that passes", []),
    # The ladder.
    Case("a skipped rung", ["skipped-rung"], new=50),
    Case("between two rungs", ["not-a-rung"], new=12),
    Case("past two rungs, on none", ["skipped-rung", "not-a-rung"], new=80),
    Case("over 100", ["skipped-rung", "not-a-rung", "approval-missing"], new=101),
    Case("no change", [], new=5),
    Case("a decrease", [], new=0),
    Case("a decrease to no rung", [], old=20, new=7),
    Case("up from between the rungs", [], old=12, status={"weight": 12}),
    # The first step has no evidence behind it yet.
    Case("the first rung", [], old=0, new=5, status={"weight": 0, "verdict": "insufficient", "bakedSeconds": 0}),
    Case("the first rung, never seen", [], old=None, new=5, status={"weight": 0, "verdict": "insufficient"}),
    Case("never seen, but served", ["weight-not-seen"], old=None, new=5),
    Case("the first rung while held", ["held"], old=0, new=5, status={"weight": 0, "hold": HOLD}),
    Case("the first rung after a failure", ["verdict-failed"], old=0, new=5, status={"weight": 0, "verdict": "fail"}),
    Case("the first rung while blind", ["verdict-blind"], old=0, new=5, status={"weight": 0, "verdict": "blind"}),
    Case("the first rung, not judged", ["verdict-missing"], old=0, new=5, status={"weight": 0, "verdict": None}),
    Case(
        "no first rung past the cap", ["above-allowed-weight"], old=0, new=5, status={"weight": 0, "allowedWeight": 0}
    ),
    # The verdict.
    Case("failed", ["verdict-failed"], status={"verdict": "fail"}),
    Case("blind", ["verdict-blind"], status={"verdict": "blind"}),
    Case("insufficient", ["verdict-insufficient"], status={"verdict": "insufficient"}),
    Case(
        "insufficient at 1 %", ["verdict-insufficient"], old=1, new=5, status={"weight": 1, "verdict": "insufficient"}
    ),
    Case("not judged", ["verdict-missing"], status={"verdict": None}),
    Case("failed, lowered", [], new=0, status={"verdict": "fail"}),
    # The bake.
    Case("one second short", ["bake-not-over"], status={"bakedSeconds": 599}),
    Case("a moment short", ["bake-not-over"], status={"bakedSeconds": 599.999}),
    Case("longer than needed", [], status={"bakedSeconds": 3600}),
    Case(
        "the bake of the rung that was reached",
        ["bake-not-over"],
        old=20,
        new=50,
        status={**TOP, "weight": 20, "bakedSeconds": 1799},
    ),
    Case("that bake is over", [], old=20, new=50, status={**TOP, "weight": 20, "bakedSeconds": 1800}),
    Case("the bake counts between rungs too", ["bake-not-over"], old=12, status={"weight": 12, "bakedSeconds": 599}),
    Case("no bake below the first rung", [], old=3, new=5, status={"weight": 3, "bakedSeconds": 0}),
    # Approval.
    Case("to 100 unapproved", ["approval-missing"], old=50, new=100, status=TOP),
    Case("to 100 approved", [], old=50, new=100, status={**TOP, "approvals": [APPROVAL]}),
    Case(
        "another rung approved",
        ["approval-missing"],
        old=50,
        new=100,
        status={**TOP, "approvals": [{**APPROVAL, "weight": 50}]},
    ),
    Case("an approval jumps no rung", ["skipped-rung"], new=100, status={"approvals": [APPROVAL]}),
    Case("a jump over 50 to 100 unapproved", ["skipped-rung", "approval-missing"], new=100),
    # Holds.
    Case("held", ["held"], status={"hold": HOLD}),
    Case("held, lowered", [], new=0, status={"hold": HOLD}),
    Case("held, unchanged", [], new=5, status={"hold": HOLD}),
    Case("held and failed", ["held", "verdict-failed"], status={"hold": HOLD, "verdict": "fail"}),
    # Whose status, and of when.
    Case("another service", ["other-service"], status={"service": "chat-b"}),
    Case("another release", ["other-release"], status={"canary": "v2-ffffffff"}),
    Case("no release judged", ["other-release"], status={"canary": ""}),
    Case("an older generation", ["generation-not-observed"], status={"observedGeneration": 6}),
    Case("a newer generation", ["generation-not-observed"], status={"observedGeneration": 8}),
    Case("30 s old", [], status={"observedAt": "2026-11-21T11:59:30Z"}),
    Case("older than 30 s", ["status-stale"], status={"observedAt": "2026-11-21T11:59:29.9Z"}),
    Case(
        "a day old",
        ["status-stale"],
        status={"observedAt": "2026-11-20T12:00:00Z", "stepStartedAt": "2026-11-20T11:00:00Z"},
    ),
    Case("stale, lowered", [], new=0, status={"observedAt": "2026-11-21T11:30:00Z"}),
    Case("5 s ahead", [], status={"observedAt": "2026-11-21T12:00:05Z"}),
    Case("more than 5 s ahead", ["status-from-the-future"], status={"observedAt": "2026-11-21T12:00:05.1Z"}),
    Case("another time zone", [], status={"observedAt": "2026-11-21T19:59:57+08:00"}),
    Case("the gateway serves less", ["weight-not-seen"], status={"weight": 0}),
    Case("the gateway serves more", ["weight-not-seen"], status={"weight": 20, "allowedWeight": 50}),
    Case("the gateway serves more, lowered", [], new=0, status={"weight": 20, "allowedWeight": 50}),
    # The agent's own word.
    Case("the agent allows less", ["above-allowed-weight"], status={"allowedWeight": 5}),
    Case("the agent allows one less", ["above-allowed-weight"], status={"allowedWeight": 19}),
    Case("the agent allows more", [], status={"allowedWeight": 100}),
    Case("an allowance opens no jump", ["skipped-rung", "approval-missing"], new=100, status={"allowedWeight": 100}),
    Case("an allowance beats no hold", ["held"], status={"allowedWeight": 100, "hold": HOLD}),
    Case("lowered above what is allowed", [], old=50, new=20, status={"weight": 50, "allowedWeight": 0}),
    # No status, and none that can be read.
    Case("no status", ["status-missing"], status=None),
    Case("no status, lowered", [], new=0, status=None),
    Case("no status, unchanged", [], new=5, status=None),
    Case("no status and a jump", ["skipped-rung", "status-missing"], new=50, status=None),
    Case("no status, the first rung", ["status-missing"], old=None, new=5, status=None),
    Case("no weight", ["status-malformed"], status={"weight": None}),
    Case("no time", ["status-malformed"], status={"observedAt": None}),
    Case("a time without a zone", ["status-malformed"], status={"observedAt": "2026-11-21T11:59:57"}),
    Case("a verdict of one's own", ["status-malformed"], status={"verdict": "fine"}),
    Case("a weight as text", ["status-malformed"], status={"weight": "5"}),
    Case("a weight as a boolean", ["status-malformed"], status={"weight": True}),
    Case("an allowance over 100", ["status-malformed"], status={"allowedWeight": 101}),
    Case("a negative weight", ["status-malformed"], status={"weight": -1}),
    Case("more errors than requests", ["status-malformed"], status={"canaryCounts": {"requests": 5, "errors": 6}}),
    Case("more slow than requests", ["status-malformed"], status={"stableCounts": {"requests": 5, "slow": 6}}),
    Case("all requests failed and were slow", [], status={"stableCounts": {"requests": 5, "errors": 5, "slow": 5}}),
    Case("a step from the future", ["status-malformed"], status={"stepStartedAt": "2026-11-21T12:00:00Z"}),
    Case(
        "a step that began this moment",
        [],
        old=0,
        new=5,
        status={"weight": 0, "verdict": "insufficient", "stepStartedAt": "2026-11-21T11:59:57Z", "bakedSeconds": 0},
    ),
    Case("baked longer than the step", ["status-malformed"], status={"stepStartedAt": "2026-11-21T11:55:00Z"}),
    Case("baked as long as the step", [], status={"stepStartedAt": "2026-11-21T11:49:57Z"}),
    Case("baked without a step", ["status-malformed"], status={"stepStartedAt": None}),
    Case("a hold without a reason", ["status-malformed"], status={"hold": {**HOLD, "reason": " "}}),
    Case("a malformed status, lowered", [], new=0, status={"weight": "many"}),
    Case("a field that this reader does not know", [], status={"mood": "bright"}),
]
