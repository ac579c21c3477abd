"""A promoter's loop over a world of its own: what it commits, what it takes back, and how it ends.

The stand-ins take the places of the engine and of the cluster, and do at once what those do in seconds. The real ones
are driven by tests/cluster/test_promote.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from local.errors import LocalError
from serinus.cli.promote import ends
from serinus.cli.promote.climb import climb
from serinus.cli.promote.cluster import Cluster, Seen
from serinus.cli.promote.engine import Engine, LockedError, LockHolder, Update
from serinus.cli.promote.hands import Hands, roles_of
from serinus.cli.promote.interrupts import InterruptedByUserError, Interrupts
from serinus.cli.promote.outcome import Exit, Outcome
from serinus.cli.promote.show import Lines
from serinus.cli.promote.stackfile import StackFile
from serinus.rollout.canary_release import Spec, StoredRung
from serinus.rollout.promotion import Situation
from serinus.rollout.status import read_status
from serinus.rollout.succession import Stable
from tests.rollout.step_cases import HOLD, PASSING

LADDER = tuple(StoredRung(weight=weight) for weight in (5, 20, 100))
IDS = {"": "", "v1": "v1-00000001", "v2": "v2-00000002"}
TEXT = "config:\n  serinus:service: chat\n  serinus:stable: v1\n  serinus:canary: v2\n  serinus:weight: 0\n"


@dataclass
class World:
    """What is applied and served, and what the agent says of it."""

    file: StackFile
    stable: str = "v1"
    canary: str = "v2"
    weight: int = 0
    previous: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    swapped_at: datetime | None = None
    ups: list[int] = field(default_factory=list)
    looks: int = 0
    trouble: list[Callable[[], None]] = field(default_factory=list)
    """Done instead of the next updates, one each."""
    unlocked: int = 0
    cleared: int = 0
    pending: bool = False
    at_look: Callable[[int], None] = lambda look: None

    def look(self, settings: dict[str, Any]) -> Seen:
        self.looks += 1
        self.at_look(self.looks)
        spec = Spec(
            service="chat",
            host="h",
            stable=IDS[self.stable],
            canary=IDS[self.canary],
            weight=self.weight,
            ladder=LADDER,
        )
        now = datetime.now(UTC)
        says = {
            **PASSING,
            "canary": spec.canary,
            "weight": self.weight,
            "allowedWeight": 100,
            "observedAt": now,
            "stepStartedAt": now - timedelta(hours=1),
            **self.status,
        }
        roles = roles_of(self.file.settings())
        changed = (roles.stable, roles.canary, roles.previous) != (self.stable, self.canary, self.previous)
        situation = Situation(
            roles.weight, self.weight, self.weight, changed=changed, declared=spec.declared(7), status=read_status(says)
        )
        return Seen(situation, spec, Stable((f"chat-{self.stable}",), self.previous), self.swapped_at)

    def up(self, message: str, project: str) -> Update:
        if self.trouble:
            self.trouble.pop(0)()
        roles = roles_of(self.file.settings())
        self.stable, self.canary, self.weight, self.previous = roles.stable, roles.canary, roles.weight, roles.previous
        self.ups.append(self.weight)
        return Update(ok=True, said=(), seconds=0.0)

    def has_pending_operations(self) -> bool:
        return self.pending

    def clear(self) -> None:
        self.cleared += 1
        self.pending = False

    def unlock(self) -> None:
        self.unlocked += 1


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "Pulumi.yaml").write_text("name: serinus\nconfig: {warmSeconds: {default: 60}}\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(TEXT)
    return World(StackFile(tmp_path, "dev"))


def hands(world: World, within: float | None = 0.0) -> Hands:
    """A promoter's hands in this world; by default it has no time to wait."""
    return Hands(world.file, cast(Cluster, world), cast(Engine, world), Interrupts(), Lines(), within)


def test_it_climbs_each_rung_once(world: World) -> None:
    outcome = climb(hands(world), 100)
    assert (outcome.exit, world.ups) == (Exit.DONE, [5, 20, 100])
    assert world.file.text() == TEXT.replace("weight: 0", "weight: 100")


@pytest.mark.parametrize(("until", "ups"), [(20, [5, 20]), (50, [5, 20]), (0, [])])
def test_it_ends_where_it_is_told_to(world: World, until: int, ups: list[int]) -> None:
    assert climb(hands(world), until).exit is Exit.DONE
    assert world.ups == ups


def test_once_is_one_step(world: World) -> None:
    assert climb(hands(world), 100, once=True) == Outcome(Exit.DONE, "the weight is 5 %; one step was asked for")
    assert world.ups == [5]


def test_it_ends_when_its_time_is_over(world: World) -> None:
    world.status = {"verdict": "blind"}
    outcome = climb(hands(world), 100)
    assert outcome.exit is Exit.TIME
    assert "can't be judged" in outcome.sentence


def test_it_stops_at_a_hold_with_the_evidence(world: World) -> None:
    world.file.write(TEXT.replace("weight: 0", "weight: 20"))
    world.status = {"hold": HOLD}
    outcome = climb(hands(world), 100)
    assert outcome.exit is Exit.HELD
    assert "every answer failed" in outcome.sentence
    assert "canary 0 errors and 17 slow of 500" in outcome.sentence
    assert "--converge" in outcome.remedy


def test_the_evidence_of_a_hold_is_told_once(world: World) -> None:
    world.file.write(TEXT.replace("weight: 0", "weight: 20"))
    because = "errors: 31 of 60 on the canary"
    world.status = {"hold": {**HOLD, "reason": f"the canary failed: {because}"}, "verdict": "fail", "because": because}
    outcome = climb(hands(world), 100)
    assert outcome.exit is Exit.HELD
    assert outcome.sentence.count(because) == 1
    assert "canary 0 errors and 17 slow of 500" in outcome.sentence
    assert "held by serinus-agent since" in outcome.sentence


def test_somebody_elses_change_of_the_file_ends_it(world: World) -> None:
    def lower(look: int) -> None:
        if look == 3:
            world.file.write(TEXT)

    world.at_look = lower
    outcome = climb(hands(world), 100)
    assert outcome.exit is Exit.REFUSED
    assert "changed by somebody else" in outcome.sentence
    assert world.ups == [5, 20]


def test_a_refused_rise_is_taken_back_and_given_up_after_a_few_times(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = Update(ok=False, said=("the bake is not over (bake-not-over)",), seconds=0.0)
    monkeypatch.setattr(World, "up", lambda self, message, project: refused)
    outcome = climb(hands(world), 100)
    assert outcome.exit is Exit.REFUSED
    assert "bake-not-over" in outcome.sentence
    assert world.file.text() == TEXT


def test_a_failed_update_that_has_moved_the_traffic_keeps_its_number(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(self: World, message: str, project: str) -> Update:
        self.weight = roles_of(self.file.settings()).weight
        return Update(ok=False, said=("the guard could not be written",), seconds=0.0)

    monkeypatch.setattr(World, "up", half)
    hands(world).change({"weight": 5}, "weight 5 %", keep=False)
    assert roles_of(world.file.settings()).weight == 5


def test_an_interrupted_rise_is_taken_back(world: World) -> None:
    def interrupt() -> None:
        raise InterruptedByUserError

    world.trouble = [interrupt]
    with pytest.raises(InterruptedByUserError):
        climb(hands(world), 100)
    assert world.file.text() == TEXT


def test_a_decrease_stays_committed_whatever_happens(world: World) -> None:
    def interrupt() -> None:
        raise InterruptedByUserError

    world.weight, world.trouble = 20, [interrupt]
    world.file.write(TEXT.replace("weight: 0", "weight: 20"))
    with pytest.raises(InterruptedByUserError):
        ends.converge(hands(world))
    assert world.file.text() == TEXT


@pytest.mark.parametrize(("holder", "unlocked"), [(LockHolder.DEAD, 1), (LockHolder.HERE, 0)])
def test_a_lock_is_taken_from_the_dead_and_waited_for_from_the_living(
    world: World, holder: LockHolder, unlocked: int
) -> None:
    def locked() -> None:
        raise LockedError("the stack is locked by ada@cage-1 (pid 7)", holder)

    world.trouble = [locked]
    assert climb(hands(world, within=60), 5).exit is Exit.DONE
    assert (world.unlocked, world.cleared, world.ups) == (unlocked, unlocked, [5])


def test_a_lock_of_another_machine_is_a_persons_matter(world: World) -> None:
    def locked() -> None:
        raise LockedError("the stack is locked by ada@elsewhere (pid 7)", LockHolder.ELSEWHERE)

    world.trouble = [locked]
    with pytest.raises(LocalError, match="ada@elsewhere") as told:
        climb(hands(world), 5)
    assert "pulumi cancel" in told.value.remedy
    assert world.file.text() == TEXT


def test_what_a_killed_update_has_left_is_cleared_first(world: World) -> None:
    world.pending = True
    assert climb(hands(world), 5).exit is Exit.DONE
    assert world.cleared == 1


def test_an_update_that_changes_nothing_ends_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def idle(self: World, message: str, project: str) -> Update:
        self.ups.append(0)
        return Update(ok=True, said=(), seconds=0.0)

    monkeypatch.setattr(World, "up", idle)
    assert climb(hands(world), 100).exit is Exit.ERROR
    assert len(world.ups) <= 2


def test_a_whole_rollout_its_swap_its_way_back_and_its_end(world: World) -> None:
    assert ends.finish(hands(world)).exit is Exit.DONE
    assert (world.stable, world.canary, world.weight, world.previous) == ("v2", "", 0, "v1")
    assert ends.finish(hands(world)).exit is Exit.DONE
    assert world.ups == [5, 20, 100, 0]

    assert ends.back(hands(world)).exit is Exit.DONE
    assert (world.stable, world.canary, world.weight, world.previous) == ("v1", "v2", 0, "")
    assert ends.back(hands(world)).exit is Exit.REFUSED


def test_the_release_before_goes_when_its_time_is_over(world: World) -> None:
    ends.finish(hands(world))
    world.swapped_at = datetime.now(UTC)
    assert ends.retire(hands(world)).exit is Exit.TIME
    world.swapped_at -= timedelta(seconds=61)
    assert ends.retire(hands(world)).exit is Exit.DONE
    assert world.previous == ""
    assert ends.retire(hands(world)).exit is Exit.DONE


def test_a_killed_swap_is_finished_by_another_promoter(world: World) -> None:
    climb(hands(world), 100)
    roles = roles_of(world.file.settings())
    world.file.write(world.file.changed(roles.changes(replace(roles, stable="v2", canary="", weight=0, previous="v1"))))
    assert ends.finish(hands(world)).exit is Exit.DONE
    assert (world.stable, world.previous) == ("v2", "v1")


def test_a_held_canary_at_the_top_does_not_become_stable(world: World) -> None:
    climb(hands(world), 100)
    world.status = {"hold": HOLD}
    assert ends.finish(hands(world)).exit is Exit.HELD
    assert world.stable == "v1"
