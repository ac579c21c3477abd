"""How a promoter ends, for people and for scripts."""

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes; `serinus promote --help` lists them."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    HELD = 3
    APPROVAL = 4
    TIME = 5
    REFUSED = 6
    TAKEN = 7
    INTERRUPTED = 130


MEANING = {
    Exit.DONE: "the goal is reached, or with --once or --dry-run: all is well",
    Exit.ERROR: "something could not be read or written; nothing tells more than its message",
    Exit.USAGE: "the options can't be used",
    Exit.HELD: "the release is held, or it failed; the evidence is printed",
    Exit.APPROVAL: "a person must approve the next rung; what to type is printed",
    Exit.TIME: "--within is over, and the rollout still waits",
    Exit.REFUSED: "what is committed, or the step, is refused by the rules",
    Exit.TAKEN: "another promoter has this service",
    Exit.INTERRUPTED: "interrupted by a signal",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end: an exit code, a sentence, and what a person may do next."""

    exit: Exit
    sentence: str
    remedy: str = ""
