"""Do Python, the policy pack and the API server give one answer to each change, and what does the pack cost a preview?

Runs the table of tests/parity_cases.py through all three, on the local cluster; then pairs of previews of one step of a
deployed stack with the dev stack's settings, with and without the pack, in turn; then bench/mutants.py. The last line
is JSON: parity_cases, parity_answers (cases times their readers), parity_wrong, added_preview_s (the median over the
pairs), previews_s (medians with and without the pack), mutants, mutants_survived.

usage: python bench/policy.py [--pairs N] [--without-mutants]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from local import cluster, lock
from local.places import ROOT, Network
from serinus.cli.stack import Result
from serinus.rollout.admission import Guarded
from tests.cluster.conftest import Project
from tests.cluster.guarded import BREAK_GLASS, expected, guarded_place
from tests.parity_cases import PARITY
from tests.parity_python import python_codes, python_codes_of_a_swap
from tests.parity_readers import pack_answers, pack_answers_to_swaps, pack_codes
from tests.swap_cases import SWAPS

GUARDED = Guarded("chat", "bench-policy-parity", "bench-policy-parity.serinus.test", BREAK_GLASS)
STACK = "bench-policy"


def answers(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield what each reader says of each case, as a line, and whether it is right."""
    for case in PARITY:
        found = python_codes(case)
        yield f"python: {case.name}: {found}, expected {case.codes}", found == case.codes
    for swap in SWAPS:
        found = python_codes_of_a_swap(swap)
        yield f"python: {swap.name}: {found}, expected {swap.codes}", found == swap.codes
    for case, rules in pack_answers(PARITY, _new(folder / "steps")):
        yield f"pack: {case.name}: {rules}, expected {pack_codes(case)}", rules == pack_codes(case)
    for swap, refused in pack_answers_to_swaps(SWAPS, _new(folder / "swaps")):
        yield f"pack: {swap.name}: {'refused' if refused else 'allowed'}", refused == bool(swap.codes)
    with guarded_place(GUARDED) as place:
        for case in PARITY:
            code = place.answer(case)
            yield f"api server: {case.name}: {code!r}, expected {expected(case)!r}", code == expected(case)
        for swap in SWAPS:
            code = place.answer_to_a_swap(swap)
            yield f"api server: {swap.name}: {code!r}, expected {expected(swap)!r}", code == expected(swap)


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def previews(network: Network, folder: Path, pairs: int) -> Iterator[tuple[float, float]]:
    """Yield pairs of seconds, with the pack and without it, for a preview of the step from 5 to 20."""
    project = Project(folder / STACK, STACK, network)
    project.write_settings()
    _require(project.stack.select())
    try:
        _require(project.stack.up())
        _require(project.stack.set("weight", "20"))
        bare = ("preview", "--stack", project.stack.name)
        for turn in range(pairs + 1):
            if turn % 2:
                guarded, plain = project.stack.preview(), project.stack.pulumi(*bare, timeout=300)
            else:
                plain, guarded = project.stack.pulumi(*bare, timeout=300), project.stack.preview()
            _require(plain)
            _require(guarded)
            if turn:  # the first pair warms the caches
                yield guarded.seconds, plain.seconds
    finally:
        project.close()


def main() -> None:
    """Run all three parts and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=5, help="pairs of previews")
    parser.add_argument("--without-mutants", action="store_true", help="leave bench/mutants.py out")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, lock.held("make bench-policy"):
        network = cluster.up()
        said, cases = list(answers(Path(scratch))), len(PARITY) + len(SWAPS)
        for line, right in said:
            if not right:
                print(f"wrong: {line}")
        print(f"{len(said)} answers to {cases} cases, {sum(not right for _, right in said)} wrong", flush=True)
        timed = []
        for guarded, plain in previews(network, Path(scratch), chosen.pairs):
            print(f"preview with the pack {guarded:.2f} s, without {plain:.2f} s", flush=True)
            timed.append((guarded, plain))
    figures: dict[str, object] = {
        "parity_cases": cases,
        "parity_answers": len(said),
        "parity_wrong": sum(not right for _, right in said),
        "added_preview_s": round(statistics.median(guarded - plain for guarded, plain in timed), 2),
        "previews_s": [round(statistics.median(column), 2) for column in zip(*timed, strict=True)],
    }
    if not chosen.without_mutants:
        tried = subprocess.run(
            [sys.executable, "bench/mutants.py"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        print(tried.stdout, end="")
        figures |= json.loads(tried.stdout.splitlines()[-1])
    print(json.dumps(figures))


def _require(result: Result) -> None:
    if not result.ok:
        sys.exit(result.output)


if __name__ == "__main__":
    main()
