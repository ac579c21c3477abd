"""What a rule says when it refuses: one shape for every reader of the rules."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One refusal.

    code: which rule refuses, in kebab-case, stable over versions.
    sentence: what is wrong, with the values.
    remedy: what a person does about it.
    """

    code: str
    sentence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.sentence} ({self.code}). {self.remedy}"
