"""Changes of the stable Ingress and what the rules say of each: the second table for every reader of the rules."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from serinus.rollout.succession import PREVIOUS_NOTE, Stable
from tests.parity_cases import GENERATION, SPEC, as_of
from tests.rollout.step_cases import HOLD, PASSING

AT_THE_TOP: dict[str, Any] = {"weight": 100, "allowedWeight": 100, "bakedSeconds": 3600}
BAKING = [{"weight": 5}, {"weight": 100, "bakeSeconds": 3600}]
OVERRIDE = {"by": "ada", "reason": "a fix that can't wait", "until": "2026-11-21T13:00:00Z"}
V1, V2, V9 = Stable(("chat-v1",)), Stable(("chat-v2",)), Stable(("chat-v9",))
V2_AFTER_V1 = Stable(("chat-v2",), "chat-v1")


@dataclass(frozen=True)
class Swap:
    """From the stable Ingress `old` to `new`, with the canary v2 at 100 % but for what `status` changes (None: no
    status) and `spec` declares; and the codes to expect.
    """

    name: str
    codes: list[str]
    old: Stable = V1
    new: Stable = V2
    status: dict[str, Any] | None = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)

    def document(self, now: datetime, generation: int) -> dict[str, Any] | None:
        """Return the status's document as of `now`, for an object of this generation."""
        if self.status is None:
            return None
        changed = {**PASSING, **AT_THE_TOP, **self.status}
        document = as_of(now, {key: value for key, value in changed.items() if value is not None})
        return document | {"observedGeneration": document["observedGeneration"] + generation - GENERATION}

    def declared(self, now: datetime) -> dict[str, Any]:
        """Return the spec that is declared, as of `now`."""
        return {**SPEC, "weight": 100, **as_of(now, self.spec)}


def noted(stable: Stable) -> dict[str, str]:
    """The annotations of a stable Ingress."""
    return {PREVIOUS_NOTE: stable.previous} if stable.previous else {}


_UNTESTED = ["untested-stable"]
SWAPS = [
    Swap("the swap", []),
    Swap("the swap, and the way back is noted", [], new=V2_AFTER_V1),
    Swap("nothing changes", [], new=V1, status=None),
    Swap("nothing changes after a swap", [], old=V2_AFTER_V1, new=V2_AFTER_V1, status=None),
    # Only the canary, and only from the top.
    Swap("another release", _UNTESTED, new=V9),
    Swap("another release, overridden", _UNTESTED, new=V9, spec={"override": OVERRIDE}),
    Swap("another release beside the canary", _UNTESTED, new=Stable(("chat-v2", "chat-v9"))),
    Swap("another release beside the stable one", _UNTESTED, new=Stable(("chat-v1", "chat-v9"))),
    Swap("without a canary", ["untested-stable", "other-release"], spec={"canary": "", "weight": 0}),
    Swap("one percent short", ["swap-too-early"], status={"weight": 99}),
    Swap("at the first rung", ["swap-too-early"], status={"weight": 5}),
    Swap("too early, overridden", ["swap-too-early"], status={"weight": 50}, spec={"override": OVERRIDE}),
    Swap("another release, too early", ["untested-stable", "swap-too-early"], new=V9, status={"weight": 5}),
    # Whose status, and of when.
    Swap("no status", ["status-missing"], status=None),
    Swap("another release without a status", ["untested-stable", "status-missing"], new=V9, status=None),
    Swap("another release judged", ["other-release"], status={"canary": "v2-ffffffff"}),
    Swap("an older generation", ["generation-not-observed"], status={"observedGeneration": GENERATION - 1}),
    Swap("a minute old", ["status-stale"], status={"observedAt": "2026-11-21T11:59:00Z"}),
    Swap("a minute ahead", ["status-from-the-future"], status={"observedAt": "2026-11-21T12:01:00Z"}),
    # What the agent found.
    Swap("held", ["held"], status={"hold": HOLD}),
    Swap("failed", ["verdict-failed"], status={"verdict": "fail"}),
    Swap("held and failed", ["held", "verdict-failed"], status={"hold": HOLD, "verdict": "fail"}),
    Swap("at the top nobody is left to compare with", [], status={"verdict": "insufficient"}),
    Swap("still baking", ["bake-not-over"], status={"bakedSeconds": 3599}, spec={"ladder": BAKING}),
    Swap("baked", [], spec={"ladder": BAKING}),
    Swap("still baking, overridden", [], status={"bakedSeconds": 0}, spec={"ladder": BAKING, "override": OVERRIDE}),
    # The way back.
    Swap("back", [], old=V2_AFTER_V1, new=V1, status=None),
    Swap("back while held", [], old=V2_AFTER_V1, new=V1, status={"hold": HOLD, "verdict": "fail"}),
    Swap("back, the note stays", [], old=V2_AFTER_V1, new=Stable(("chat-v1",), "chat-v1"), status=None),
    Swap("back, but not to it", ["untested-stable", "status-missing"], old=V2_AFTER_V1, new=V9, status=None),
    Swap("no way back without a note", ["untested-stable", "status-missing"], old=V2, new=V1, status=None),
    Swap("the window ends", [], old=V2_AFTER_V1, new=V2, status=None),
    # What is noted is what was.
    Swap("a note made up", ["previous-never-stable"], new=Stable(("chat-v1",), "chat-v9")),
    Swap(
        "a note made up, without a status", ["previous-never-stable"], new=Stable(("chat-v1",), "chat-v9"), status=None
    ),
    Swap("a note made up in the swap", ["previous-never-stable"], new=Stable(("chat-v2",), "chat-v9")),
    Swap(
        "the swap, the older note stays", [], old=Stable(("chat-v1",), "chat-v0"), new=Stable(("chat-v2",), "chat-v0")
    ),
    Swap(
        "back is no swap to be noted",
        ["previous-never-stable"],
        old=V2_AFTER_V1,
        new=Stable(("chat-v1",), "chat-v2"),
    ),
]
