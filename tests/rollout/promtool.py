"""Runs alert rules in the real rule engine: what series are given, and which alerts fire at which second.

A history is written in units: a failed request, a good one. What a unit adds to which counter is the guard's affair.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STEP = 5
"""Seconds between two looks at the targets, where a test has no other."""
UP = 'up{job="all",instance="one"}'

Unit = Mapping[str, float]
"""What one event adds, by series. Every series names the target of UP."""


@dataclass(frozen=True)
class Stretch:
    """So many seconds in which so many of each unit happen per step. A reset sets all counters to 0 first."""

    seconds: int
    units: Sequence[tuple[float, Unit]] = ()
    reset: bool = False


@dataclass
class Case:
    """A history, and the alerts that fire at given seconds. An expression may stand in an alert's place."""

    says: str
    history: Sequence[Stretch]
    firing: Mapping[int, bool]
    gauges: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    of: str = ""
    born: frozenset[str] = frozenset()
    """The series that do not exist before they rise."""

    def series(self, step: int = STEP) -> dict[str, str]:
        """The values of all series, as promtool wants them."""
        names = {name for stretch in self.history for _, unit in stretch.units for name in unit}
        values = {name: list(_values(self.history, name, name in self.born, step)) for name in names}
        values.update({name: list(given) for name, given in self.gauges.items()})
        length = max((len(one) for one in values.values()), default=sum(s.seconds for s in self.history) // step + 1)
        values.setdefault(UP, [1] * length)
        return {name: " ".join("_" if v is None else f"{v:g}" for v in one) for name, one in values.items()}


def _values(history: Sequence[Stretch], series: str, born: bool, step: int) -> Iterator[float | None]:
    total = 0.0
    seen = not born
    yield 0 if seen else None
    for stretch in history:
        if stretch.reset:
            total = 0
        for _ in range(stretch.seconds // step):
            total += sum(count * unit.get(series, 0) for count, unit in stretch.units)
            seen = seen or total > 0
            yield total if seen else None


def check(
    promtool: Path, folder: Path, groups: list[dict[str, Any]], alert: str, cases: Sequence[Case], step: int = STEP
) -> None:
    """Assert that the alert fires when the cases say so. All cases run in one process."""
    (folder / "rules.json").write_text(json.dumps({"groups": groups}))
    tests = []
    for case in cases:
        what = case.of or f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
        tests.append(
            {
                "name": case.says,
                "interval": f"{step}s",
                "input_series": [{"series": name, "values": values} for name, values in case.series(step).items()],
                "promql_expr_test": [
                    {
                        "expr": f"count({what}) > bool 0 or vector(0)",
                        "eval_time": f"{second}s",
                        "exp_samples": [{"labels": "{}", "value": int(fires)}],
                    }
                    for second, fires in case.firing.items()
                ],
            }
        )
    run(promtool, folder, {"rule_files": ["rules.json"], "evaluation_interval": f"{step}s", "tests": tests})


def run(promtool: Path, folder: Path, document: Mapping[str, Any]) -> None:
    """Run one file of tests."""
    (folder / "tests.json").write_text(json.dumps(document))
    done = subprocess.run(
        [promtool, "test", "rules", "tests.json"], cwd=folder, capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stdout + done.stderr
