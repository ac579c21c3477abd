"""Says what is being done while it is done: a line when a step starts, one when it ends, a sign of life between."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

HEARTBEAT_SECONDS = 30.0

console = Console(highlight=False, soft_wrap=True)
"""For results, on standard output."""
_progress = Console(stderr=True, highlight=False, soft_wrap=True)
"""For what is being done meanwhile: a script that reads a result must not read this."""


def duration(seconds: float) -> str:
    """`seconds` as people read it: 0.4 s, 12 s, 3 min 05 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def say(text: str = "", *, markup: bool = True) -> None:
    """One line for the user; colours only on a terminal. Without `markup` brackets are brackets."""
    console.print(text, markup=markup)
    sys.stdout.flush()


def quote(text: str, style: str = "dim") -> None:
    """What somebody else said, indented, in lines that fit."""
    console.print(Padding(Text(text, style), (0, 0, 0, 4)), soft_wrap=False)
    sys.stdout.flush()


@contextmanager
def step(title: str, hint: str = "") -> Iterator[None]:
    """Announce `title`, and how long it took when it ends; `hint` tells beforehand what to expect.

    Steps may run side by side in threads, so every line names its step.
    """
    _progress.print(f"[cyan]▸[/] {title}" + (f" [dim]({hint})[/]" if hint else ""))
    started = time.monotonic()
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            _progress.print(f"[dim]… {title}: {duration(time.monotonic() - started)}[/]")

    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    try:
        yield
    except BaseException:
        ended.set()
        heart.join()
        _progress.print(f"[red]✗[/] {title} failed after {duration(time.monotonic() - started)}")
        raise
    ended.set()
    heart.join()
    _progress.print(f"[green]✓[/] {title} [dim]{duration(time.monotonic() - started)}[/]")
