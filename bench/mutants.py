"""Do the tests notice when a rule is broken? Breaks each rule of a step in turn and runs its tests.

A mutant is the source of one module with one change: a comparison turned or moved by one, a rule or a condition
dropped, `and` for `or`, a `not` lost, a waivable rule made firm. Each runs in a child process of its own, forked after
the slow imports. The last line of the output is JSON: mutants, mutants_survived.

usage: python bench/mutants.py
"""

import ast
import copy
import importlib.util
import json
import operator
import os
import sys
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("ladder", "rules", "hold", "status", "step", "succession")
TESTS_RAN = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
TESTS = ("tests/rollout/test_ladder.py", "tests/rollout/test_step.py", "tests/rollout/test_succession.py")

# Every comparison is tried with its neighbour (off by one) and with its opposite.
TURNED: dict[str, tuple[str, ...]] = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
}
OPERATORS: dict[str, type[ast.cmpop]] = {
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
    "==": ast.Eq,
    "!=": ast.NotEq,
}
SYMBOLS = {node: symbol for symbol, node in OPERATORS.items()}
OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


class Mutant(NamedTuple):
    """A broken module: its name, what was done where, and its tree."""

    module: str
    change: str
    tree: ast.Module


def mutants_of(module: str) -> Iterator[Mutant]:
    """Yield every mutant of one module of `serinus.rollout`."""
    tree = ast.parse((ROOT / "serinus/rollout" / f"{module}.py").read_text())
    for index, node in enumerate(ast.walk(tree)):
        for number, change in enumerate(_changes(node)):
            broken = copy.deepcopy(tree)
            same = next(twin for position, twin in enumerate(ast.walk(broken)) if position == index)
            list(_changes(same))[number][1]()
            yield Mutant(module, f"line {getattr(node, 'lineno', '?')}: {change[0]}", ast.fix_missing_locations(broken))


def _changes(node: ast.AST) -> list[tuple[str, Any]]:
    """Return what can be broken at a node: a description and the function that does it."""
    match node:
        case ast.Compare(ops=ops):
            return [
                (f"{type(op).__name__} becomes {new.__name__}", lambda at=at, new=new: ops.__setitem__(at, new()))
                for at, op in enumerate(ops)
                for new in _turned(op)
            ]
        case ast.Call(func=ast.Name("Condition"), args=[_, ast.Constant(str(symbol)) as written, _]):
            return [
                (f"{symbol} becomes {new}", lambda new=new: setattr(written, "value", new)) for new in TURNED[symbol]
            ]
        case ast.Tuple(elts=elements) if all(_is_call_of(one, {"Rule", "Condition"}) for one in elements):
            return [(f"element {at} dropped", lambda at=at: elements.pop(at)) for at in range(len(elements))]
        case ast.BoolOp(op=op):
            other = ast.Or if isinstance(op, ast.And) else ast.And
            return [(f"{type(op).__name__} becomes {other.__name__}", lambda: setattr(node, "op", other()))]
        case ast.UnaryOp(op=ast.Not()):
            return [("not dropped", lambda: setattr(node, "op", ast.UAdd()))]
        case ast.keyword(arg="waivable", value=ast.Constant(True) as value):
            return [("no longer waivable", lambda: setattr(value, "value", False))]
    return []


def _turned(op: ast.cmpop) -> list[type[ast.cmpop]]:
    symbol = SYMBOLS.get(type(op))
    return [OPERATORS[new] for new in TURNED[symbol]] if symbol else [OPPOSITES[type(op)]]


def _is_call_of(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


class Broken(MetaPathFinder, Loader):
    """Imports the mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Claim the mutant's name and no other."""
        if fullname != f"serinus.rollout.{self.mutant.module}":
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the broken source; a mutated rule may use every comparison."""
        exec(compile(self.mutant.tree, f"<mutant of {self.mutant.module}>", "exec"), module.__dict__)  # noqa: S102 (our own source)
        if self.mutant.module == "rules":
            module.__dict__["_COMPARE"].update({"<=": operator.le, ">=": operator.ge})


def start(mutant: Mutant | None) -> int:
    """Run the tests in a child process, with the mutant in place; return the process id."""
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        if mutant:
            sys.meta_path.insert(0, Broken(mutant))
        options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--hypothesis-profile=mutants"]
        # Nothing of the steps asks for the swaps, which stand last.
        own = TESTS[-1:] if mutant and mutant.module == "succession" else TESTS
        os._exit(int(pytest.main([*options, *own])))
    return child


def killed(status: int, mutant: Mutant | None) -> bool:
    """Tell from how a child process ended whether one of its tests failed."""
    code = os.waitstatus_to_exitcode(status)
    if code not in TESTS_RAN:
        raise RuntimeError(f"pytest ended with {code} on {mutant}")
    return code != pytest.ExitCode.OK


def main() -> None:
    """Try every mutant, as many at a time as there are processors; survivors are named."""
    os.chdir(ROOT)
    settings.register_profile("mutants", max_examples=40, derandomize=True, database=None, deadline=None)
    if killed(os.waitpid(start(None), 0)[1], None):
        sys.exit("the tests fail without any mutant: run pytest tests/rollout first")
    waiting = [mutant for module in MODULES for mutant in mutants_of(module)]
    tried, survived = len(waiting), 0
    running: dict[int, Mutant] = {}
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            mutant = waiting.pop()
            running[start(mutant)] = mutant
        ended, status = os.wait()
        mutant = running.pop(ended)
        if not killed(status, mutant):
            survived += 1
            print(f"survived: {mutant.module}.py {mutant.change}", flush=True)
    print(json.dumps({"mutants": tried, "mutants_survived": survived}))


if __name__ == "__main__":
    main()
