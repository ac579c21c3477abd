"""How a generated page is laid out."""

import re
from collections.abc import Iterable, Sequence

_MADE = "<!-- Made by `make docs` from the code; changes here are lost. -->"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table as one part of a page."""

    def cell(text: str) -> str:
        return " ".join(text.split()).replace("|", "\\|")

    lines = [heads, ["---"] * len(heads), *rows]
    return ["\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)]


def page(parts: Iterable[str]) -> str:
    """Join parts to a page; the first is its title."""
    title, *others = parts
    text = "\n\n".join([title, _MADE, *others])
    # A list stands together.
    return re.sub(r"(?m)^(\* .*)\n\n(?=\* )", r"\1\n", text) + "\n"
