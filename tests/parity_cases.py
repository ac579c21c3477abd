"""Changes of a canary Ingress and what the rules say of each: one table for every reader of the rules.

The first part are the steps of `tests/rollout/step_cases.py`, written as annotations. The second is what only
annotations can say. Python, the policy pack and the API server must give the same answer to each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from serinus.rollout import share
from serinus.rollout.patterns import NOBODY, Tail, bucket_pattern, cookie_pattern, tail_pattern, word_pattern
from tests.rollout.step_cases import APPROVAL, CASES, LADDER, NOW, PASSING, TOP, Case

RELEASE = "v2"
CANARY = str(PASSING["canary"])
SPEC = {
    "stable": "v1-5b1de7aa",
    "canary": CANARY,
    "weight": 5,
    "ladder": [
        {key.replace("bake_seconds", "bakeSeconds"): value for key, value in rung.items()} for rung in LADDER["rungs"]
    ],
}
GENERATION = int(PASSING["observedGeneration"])
# An API server's clock goes on between two requests, so no case can stand on the second. And a weight over 100 is no
# share: it counts as everything.
_NO_ANNOTATIONS = {"30 s old", "older than 30 s", "5 s ahead", "more than 5 s ahead", "over 100"}


def annotations(weight: object = None, pattern: str = "", **others: str) -> dict[str, str]:
    """The annotations of a canary Ingress; None leaves the weight out, `by_cookie` means `canary-by-cookie`."""
    found = {share.CANARY: "true"} | ({} if weight is None else {share.WEIGHT: str(weight)})
    if pattern:
        found |= {share.HEADER: "X-User-Bucket", share.PATTERN: pattern}
    return found | {f"{share.PREFIX}/canary-{key.replace('_', '-')}": value for key, value in others.items()}


def buckets(count: int, *tags: str, start: int = 0) -> dict[str, str]:
    """The annotations that give the canary so many buckets, and no weight."""
    return annotations(0, bucket_pattern(range(start, start + count), tags))


def tails(percent: int, base: int = 10) -> dict[str, str]:
    """The annotations that give the canary so many percent of the ids, by their last two digits."""
    return annotations(0, tail_pattern(Tail(base, 2), percent))


def cookies(percent: int, base: int = 10) -> dict[str, str]:
    """The same by the last two digits of a cookie."""
    return annotations(0, cookie_pattern("uid", Tail(base, 2), percent)) | {share.HEADER: "Cookie"}


def words(header: str) -> dict[str, str]:
    """Weight 20, and whoever sends a word in this header on top."""
    return annotations(20, word_pattern("let-me-in")) | {share.HEADER: header}


@dataclass(frozen=True)
class Parity:
    """From the annotations `old` to `new`, the status as changed by `status` (None: no status), the codes to expect."""

    name: str
    codes: list[str]
    old: dict[str, str] = field(default_factory=lambda: annotations(5))
    new: dict[str, str] = field(default_factory=lambda: annotations(20))
    status: dict[str, Any] | None = field(default_factory=dict)
    override: dict[str, str] | None = None

    def document(self, now: datetime, generation: int) -> dict[str, Any] | None:
        """Return the status's document as of `now`, for an object of this generation."""
        document = Case(self.name, self.codes, status=self.status).document()
        if document is None:
            return None
        moved = as_of(now, document)
        if isinstance(moved.get("observedGeneration"), int):
            moved["observedGeneration"] += generation - GENERATION
        return moved


def as_of(now: datetime, document: Mapping[str, Any]) -> dict[str, Any]:
    """Move every time of a document, written as of NOW, to `now`."""
    moved: dict[str, Any] = _move(document, now - datetime.fromisoformat(NOW))
    return moved


def _move(value: Any, by: timedelta, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _move(part, by, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_move(part, by) for part in value]
    if key not in ("stepStartedAt", "observedAt", "since", "at", "until"):
        return value
    # What is no moment stays none: a time without a zone is one of the cases.
    moment = datetime.fromisoformat(value) + by
    return moment.isoformat(timespec="milliseconds")


def _as_annotations(case: Case) -> Parity:
    return Parity(case.name, case.codes, annotations(case.old), annotations(case.new), case.status)


STEPS = [_as_annotations(case) for case in CASES if case.name not in _NO_ANNOTATIONS]

_AHEAD = {"observedAt": "2026-11-21T12:01:00Z"}
_AT_0 = {"weight": 0, "verdict": "insufficient", "bakedSeconds": 0, "allowedWeight": 5}
_AT_20 = {**TOP, "weight": 20, "bakedSeconds": 3600}
_OVERRIDE = {"by": "ada", "reason": "a fix that can't wait", "until": "2026-11-21T13:00:00Z"}
_ENDED = {**_OVERRIDE, "until": "2026-11-21T11:59:00Z"}
_TO_100 = {"status": {**TOP, "approvals": [APPROVAL]}}

SHARES = [
    Parity("20 s old", [], status={"observedAt": "2026-11-21T11:59:40Z"}),
    Parity("a minute old", ["status-stale"], status={"observedAt": "2026-11-21T11:59:00Z"}),
    Parity("a minute ahead", ["status-from-the-future"], status=_AHEAD),
    Parity("a minute ahead, lowered", [], new=annotations(0), status=_AHEAD),
    # Buckets are a weight.
    Parity("from 5 to 20 buckets", [], buckets(5), buckets(20)),
    Parity("from 5 to 50 buckets", ["skipped-rung"], buckets(5), buckets(50)),
    Parity("from 5 to 21 buckets", ["skipped-rung", "not-a-rung"], buckets(5), buckets(21)),
    Parity("from 20 to 5 buckets, no status", [], buckets(20), buckets(5), status=None),
    Parity("from 5 to 20 buckets, failed", ["verdict-failed"], buckets(5), buckets(20), {"verdict": "fail"}),
    Parity("from 5 to 20 buckets, no status", ["status-missing"], buckets(5), buckets(20), status=None),
    Parity("other buckets, as many", [], buckets(20), buckets(20, start=30), status=None),
    Parity("from weight 5 to 5 buckets", [], new=buckets(5), status=None),
    Parity("from weight 5 to 20 buckets", [], new=buckets(20)),
    Parity("from weight 5 to 50 buckets", ["skipped-rung"], new=buckets(50)),
    Parity("from 50 buckets to weight 20", [], buckets(50), status=None),
    Parity("to nobody's pattern", [], buckets(50), annotations(0, NOBODY), status=None),
    Parity("from nobody's pattern", [], annotations(0, NOBODY), buckets(5), _AT_0),
    Parity("all buckets, approved", [], buckets(50), buckets(100), **_TO_100),
    Parity("all buckets, unapproved", ["approval-missing"], buckets(50), buckets(100), TOP),
    Parity("buckets beside a weight add up", ["skipped-rung", "not-a-rung"], new=buckets(20) | annotations(5)),
    Parity("buckets beside a weight, together a rung", [], new=buckets(15) | annotations(5)),
    Parity("buckets beside a weight, fewer", [], buckets(15) | annotations(5), buckets(5) | annotations(5), None),
    # Tags narrow a share only as long as nobody has them.
    Parity("20 tagged buckets", [], new=buckets(20, "vip", "beta")),
    Parity("50 tagged buckets", ["skipped-rung"], new=buckets(50, "vip")),
    # The tail of an id, in a header or in a cookie, is a share as well; a hexadecimal one is the nearest there is.
    Parity("from 5 to 20 tails", [], tails(5), tails(20)),
    Parity("from 5 to 50 tails", ["skipped-rung"], tails(5), tails(50)),
    Parity("from 20 to 5 tails, no status", [], tails(20), tails(5), None),
    Parity("from 5 to 20 hexadecimal tails", [], tails(5, 16), tails(20, 16)),
    Parity(
        "from 5 to 20 hexadecimal tails, failed", ["verdict-failed"], tails(5, 16), tails(20, 16), {"verdict": "fail"}
    ),
    Parity("from 5 to 50 hexadecimal tails", ["skipped-rung"], tails(5, 16), tails(50, 16)),
    Parity("20 tagged tails", [], tails(5), annotations(0, tail_pattern(Tail(10, 2), 20, ["VIP"]))),
    Parity("from 5 to 20 tails of a cookie", [], cookies(5), cookies(20)),
    Parity("from 5 to 50 tails of a cookie", ["skipped-rung"], cookies(5, 16), cookies(50, 16)),
    Parity("tails of four digits", ["skipped-rung", "approval-missing"], tails(5), annotations(0, "0[0-4][0-9]{2}$")),
    Parity("a tail of letters only", ["skipped-rung", "approval-missing"], tails(5), annotations(0, "[a-f]$")),
    # Testers choose for themselves: they are no share, as long as nobody is one by chance.
    Parity("20 buckets and testers", [], new=annotations(0, bucket_pattern(range(20), ["VIP"], testers=True))),
    Parity("50 buckets and testers", ["skipped-rung"], new=annotations(0, bucket_pattern(range(50), testers=True))),
    Parity("the testers' word", [], new=words("X-Serinus-Tester")),
    Parity("a word in any header", ["skipped-rung", "approval-missing"], new=words("X-Tenant")),
    # What can't be counted may be everything.
    Parity("an unanchored pattern", ["skipped-rung", "approval-missing"], new=annotations(0, "0[0-4]")),
    Parity("a pattern of one's own", ["skipped-rung", "approval-missing"], new=annotations(0, "^(0[0-4]|tester)$")),
    Parity("a broken pattern", ["skipped-rung", "approval-missing"], new=annotations(0, "^(0[0-4$")),
    Parity("a lookahead", ["skipped-rung", "approval-missing"], new=annotations(0, "^(?!0)[0-9]$")),
    Parity("everything", ["skipped-rung", "approval-missing"], new=annotations(0, ".*")),
    Parity("a header alone", ["skipped-rung", "approval-missing"], new=annotations(5, by_header="X-Canary")),
    Parity(
        "a header's value",
        ["skipped-rung", "approval-missing"],
        new=buckets(5) | annotations(0, by_header_value="always"),
    ),
    Parity("a cookie", ["skipped-rung", "approval-missing"], new=annotations(5, by_cookie="canary")),
    Parity("another total", ["skipped-rung", "approval-missing"], new=annotations(20, weight_total="20")),
    Parity("a total of 100", [], new=annotations(20, weight_total="100")),
    Parity("a long pattern", ["skipped-rung", "approval-missing"], new=annotations(0, f"^({'00|' * 90}00)$")),
    Parity("a weight that is none", ["skipped-rung", "approval-missing"], new=annotations("5%")),
    Parity("a weight over 100", ["skipped-rung", "approval-missing"], new=annotations("101")),
    Parity("a weight below 0", ["skipped-rung", "approval-missing"], new=annotations("-5")),
    Parity("a weight with leading zeros", [], new=annotations("020")),
    Parity("a cookie cut", [], annotations(5, by_cookie="canary"), annotations(0), None),
    Parity("a broken pattern cut", [], annotations(50, "^(0[0-4$"), annotations(0, NOBODY), None),
    Parity("up from what can't be counted", ["weight-not-seen"], annotations(0, "^(0[0-4$"), annotations(5)),
    # Off and on.
    Parity("switched off", [], new=annotations(100) | {share.CANARY: "false"}, status=None),
    Parity("no annotations", [], new={}, status=None),
    Parity(
        "switched on at 50",
        ["skipped-rung", "weight-not-seen"],
        annotations(50) | {share.CANARY: "false"},
        annotations(50),
    ),
    Parity("switched on at the first rung", [], {}, annotations(5), _AT_0),
    Parity("switched on by another word", ["skipped-rung"], new=annotations(50) | {share.CANARY: "yes"}),
    # An override.
    Parity("a jump, overridden", [], new=annotations(50), override=_OVERRIDE),
    Parity("insufficient, overridden", [], status={"verdict": "insufficient"}, override=_OVERRIDE),
    Parity("blind and capped, overridden", [], status={"verdict": "blind", "allowedWeight": 5}, override=_OVERRIDE),
    Parity("failed, overridden", ["verdict-failed"], status={"verdict": "fail"}, override=_OVERRIDE),
    Parity("unapproved, overridden", ["approval-missing"], annotations(50), annotations(100), TOP, override=_OVERRIDE),
    Parity("to no rung, overridden", ["not-a-rung"], new=annotations(30), override=_OVERRIDE),
    Parity("no status, overridden", ["status-missing"], status=None, override=_OVERRIDE),
    Parity("a jump, overridden too late", ["skipped-rung", "override-ended"], new=annotations(50), override=_ENDED),
    Parity("a step that needs no override", [], override=_ENDED),
    Parity("from 20 to 50", [], annotations(20), annotations(50), _AT_20),
]

PARITY = [*STEPS, *SHARES]


def moved_override(case: Parity, now: datetime) -> dict[str, str] | None:
    """Return the case's override as of `now`."""
    if case.override is None:
        return None
    return as_of(now, case.override)
