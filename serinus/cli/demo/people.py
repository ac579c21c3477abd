"""The users of the demo: what they ask, and what of it is shown."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.table import Table

from local.progress import console, quote, say, step
from local.traffic import Answer, Background, Client, crowd
from serinus.cli.demo.results import Step

_CONCURRENCY = 6
# Who asks while a weight moves: so many at once, so many requests a second at most.
_OTHERS = 3
_PER_SECOND = 8.0
_SHORT = 4
_SHOWN = 66
_PROMPTS = (
    "What is the capital of France?",
    "Name a yellow bird.",
    "What do canaries eat?",
    "Say hello in Spanish.",
    "What is two plus two?",
    "Which planet is the largest?",
    "Give me a word that rhymes with light.",
    "What colour is the sky?",
)


class People:
    """Users behind the gateway at `url` who ask the service of `host`."""

    def __init__(self, url: str, host: str) -> None:
        self._client = Client(url, host, connections=_CONCURRENCY)
        # Short answers: they are counted, and nobody reads them.
        self._others = Client(url, host, connections=_OTHERS, max_tokens=_SHORT)

    def ask(self, count: int, what: str) -> list[Answer]:
        """Let so many users ask once, and show one answer of each release."""
        with step(f"{count} users ask {what}"):
            answers = self._client.ask_all([f"user-{n:04d}" for n in range(count)], _PROMPTS, _CONCURRENCY)
        _show(answers)
        return answers

    @contextmanager
    def asking(self) -> Iterator[Background]:
        """Others ask all the while."""
        with crowd(self._others, _PROMPTS, _OTHERS, _PER_SECOND) as load:
            yield load


def print_table(steps: Sequence[Step]) -> None:
    """Print what users saw, a line for each rung."""
    table = Table("weight", "observed", "requests stable", "canary", "users stable", "canary", "failed", "up", box=None)
    for column in table.columns:
        column.justify = "right"
    for done in steps:
        table.add_row(
            f"{done.weight} %",
            f"{done.observed_share:.1f} %",
            str(done.requests - done.canary_requests),
            str(done.canary_requests),
            str(done.users - done.canary_users),
            str(done.canary_users),
            str(done.failed),
            f"{done.up_seconds:.1f} s",
        )
    say()
    console.print(table)
    say()


def _show(answers: Sequence[Answer]) -> None:
    """One answer of each release, so that one sees who speaks; and the first failure, if there is one."""
    first = {answer.release: answer for answer in reversed(answers) if not answer.failed}
    for release in sorted(first):
        text = " ".join(first[release].text.split())
        quote(f"{release}: {text[:_SHOWN]}")
    for answer in [answer for answer in answers if answer.failed][:1]:
        quote(f"failed: status {answer.status}, {answer.text[:200]}", "red")
