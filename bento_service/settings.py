"""How this process runs, from its environment: limits, names, places. What it answers with is the release's alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capture import CaptureSettings


class SettingsError(Exception):
    """An environment variable has a wrong value; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`deadline_seconds` bounds a whole answer, waiting and streaming included. A file at `drain_file` makes the
    process unready while it finishes what it has. `key_file` holds the secret of all hashes; `audit_file` None is
    standard output. `model_aliases` are names that clients may use whatever the release's model is called."""

    release_file: Path
    deadline_seconds: float
    body_bytes: int
    drain_file: Path
    key_file: Path | None
    audit_file: Path | None
    model_aliases: tuple[str, ...]
    canary_notice: str | None
    capture: CaptureSettings | None
    scorer: str | None
    scorer_ratio: float


def read_settings(env: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. Raises `SettingsError`."""
    return Settings(
        release_file=Path(env.get("SERINUS_RELEASE_FILE", "/etc/serinus/release.json")),
        deadline_seconds=_positive(env, "SERINUS_DEADLINE_SECONDS", 60),
        body_bytes=int(_positive(env, "SERINUS_BODY_BYTES", 1_000_000)),
        drain_file=Path(env.get("SERINUS_DRAIN_FILE", "/tmp/serinus-draining")),  # noqa: S108 - the pod's own emptyDir
        key_file=_path(env, "SERINUS_KEY_FILE"),
        audit_file=_path(env, "SERINUS_AUDIT_FILE"),
        model_aliases=tuple(env.get("SERINUS_MODEL_ALIASES", "default").split()),
        canary_notice=env.get("SERINUS_CANARY_NOTICE") or None,
        capture=_capture(env),
        scorer=env.get("SERINUS_SCORER") or None,
        scorer_ratio=_share(env, "SERINUS_SCORER_RATIO", 1.0),
    )


def _capture(env: Mapping[str, str]) -> CaptureSettings | None:
    folder, key = _path(env, "SERINUS_CAPTURE_DIR"), _path(env, "SERINUS_CAPTURE_KEY_FILE")
    if folder is None and key is None:
        return None
    if folder is None or key is None:
        raise SettingsError(
            "SERINUS_CAPTURE_DIR and SERINUS_CAPTURE_KEY_FILE (the public key) are set together or not."
        )
    return CaptureSettings(folder, key, _share(env, "SERINUS_CAPTURE_RATIO", 0.01))


def _share(env: Mapping[str, str], name: str, default: float) -> float:
    share = _positive(env, name, default)
    if share > 1:
        raise SettingsError(f"{name} is {share:g}: allowed is a share above 0, up to 1.")
    return share


def _path(env: Mapping[str, str], name: str) -> Path | None:
    text = env.get(name)
    return Path(text) if text else None


def _positive(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise SettingsError(f"{name} is {text!r}: allowed is a number above 0. Correct the pod's environment.")
    return value
