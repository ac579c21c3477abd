"""What the bucketer is told: where an id is found, and with which salt it is hashed. One JSON file, a Secret's.

No pydantic here: the file is written by the stack from checked settings, and the image holds nothing but Python.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_type_hints

from serinus.bucketer.keeping import Keep


class ConfigError(ValueError):
    """A file that can't be used. The message names the file and the mistake, never a value: they are secrets."""


@dataclass(frozen=True, slots=True)
class Config:
    """Names are of headers, a cookie and a claim; an empty one is not looked at.

    testers are keyed hashes (`serinus.rollout.buckets.keyed`) of user ids, in hex: no id is kept anywhere. Without keep
    a conversation moves with the share.
    """

    salt: str
    header: str = ""
    cookie: str = ""
    claim: str = ""
    conversation: str = ""
    tag_header: str = ""
    tester_word: str = ""
    testers: tuple[str, ...] = ()
    keep: Keep | None = None

    def document(self) -> str:
        """Return the file's text."""
        return json.dumps(asdict(self), sort_keys=True)


def read_config(path: Path) -> Config:
    """Read the file. Raises ConfigError when it is missing, no JSON, or not what `Config` says."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} can't be read ({type(error).__name__}). Mount the bucketer's Secret there."
        ) from None
    texts = {"salt", "header", "cookie", "claim", "conversation", "tag_header", "tester_word"}
    allowed = texts | {"testers", "keep"}
    if not isinstance(found, dict) or set(found) - allowed or not found.get("salt"):
        raise ConfigError(f"{path} has unknown keys or no salt; allowed keys: {', '.join(sorted(allowed))}")
    testers, keep = found.pop("testers", []), found.pop("keep", None)
    wrong = sorted(key for key, value in found.items() if not isinstance(value, str))
    if wrong or not isinstance(testers, list) or not all(isinstance(one, str) for one in testers):
        raise ConfigError(
            f"{path}: {', '.join(wrong) or 'testers'} is no text. Write texts, and testers as a list of them."
        )
    types = get_type_hints(Keep)
    if keep is not None and (not isinstance(keep, dict) or {key: type(value) for key, value in keep.items()} != types):
        needed = ", ".join(f"{key} ({kind.__name__})" for key, kind in types.items())
        raise ConfigError(f"{path}: keep can't be used. Write null, or {needed}.")
    return Config(**found, testers=tuple(testers), keep=Keep(**keep) if keep else None)
