"""Whole conversations of a sample of requests, for people who judge a canary's answers: off unless asked for.

They are redacted, then sealed to a public key, so that neither the pod nor the disk nor a backup can show them; only
who holds the private key can. `python capture.py keys FOLDER` makes a pair, `python capture.py open KEY FILE…` reads.
"""

from __future__ import annotations

import json
import os
import sys
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from exchange import Answer
from redaction import redact


class CaptureError(Exception):
    """Capturing can't be set up, or a capture not opened; the message says what to correct."""


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """Where captures go, to whom they are sealed, and the share of answers that is captured."""

    folder: Path
    public_key_file: Path
    ratio: float


class Capture:
    """Writes one sealed line per captured answer, to a file a day."""

    def __init__(self, release: str, settings: CaptureSettings) -> None:
        self._release = release
        self._settings = settings
        self._box = SealedBox(PublicKey(_read_key(settings.public_key_file)))
        try:
            settings.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CaptureError(f"SERINUS_CAPTURE_DIR {settings.folder} can't be made ({error}).") from error

    def ended(self, answer: Answer) -> None:
        """Capture the answer, if it is in the sample."""
        if answer.question is None or not self._sampled(answer.id):
            return
        record = {
            "id": answer.id,
            "release": self._release,
            "received_at": datetime.fromtimestamp(answer.received_at, UTC).isoformat(timespec="milliseconds"),
            "messages": [
                {"role": message.role, "content": redact(message.content)} for message in answer.question.messages
            ],
            "answer": redact(answer.text),
            "outcome": answer.outcome,
            "finish_reason": answer.finish_reason,
        }
        line = b64encode(self._box.encrypt(json.dumps(record, ensure_ascii=False).encode())) + b"\n"
        file = self._settings.folder / f"{self._release}-{datetime.now(UTC):%Y-%m-%d}.sealed"
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def _sampled(self, answer_id: str) -> bool:
        # By the answer's id: whether it was captured can be told later from the audit log alone.
        return int.from_bytes(sha256(answer_id.encode()).digest()[:8], "big") < self._settings.ratio * 2**64


def make_keys(folder: Path) -> None:
    """Make `capture.key` (keep it off the cluster) and `capture.pub` (mount it into the pods)."""
    private = PrivateKey.generate()
    folder.mkdir(parents=True, exist_ok=True)
    # Never over an older key: what was sealed to it would be lost.
    descriptor = os.open(folder / "capture.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b64encode(bytes(private)) + b"\n")
    (folder / "capture.pub").write_bytes(b64encode(bytes(private.public_key)) + b"\n")


def open_captures(key_file: Path, files: Sequence[Path]) -> list[str]:
    """The JSON records of capture files. Raises `CaptureError`."""
    box = SealedBox(PrivateKey(_read_key(key_file)))
    try:
        return [box.decrypt(b64decode(line)).decode() for file in files for line in file.read_bytes().splitlines()]
    except (CryptoError, NotBase64) as error:
        raise CaptureError(f"{key_file} does not open these captures: {error}") from error


def _read_key(path: Path) -> bytes:
    try:
        key = b64decode(path.read_bytes().strip(), validate=True)
    except (OSError, NotBase64) as error:
        raise CaptureError(f"{path} is no key ({error}). Make one with `python capture.py keys FOLDER`.") from error
    if len(key) != PublicKey.SIZE:
        raise CaptureError(f"{path} is no key: {len(key)} bytes, {PublicKey.SIZE} are needed.")
    return key


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    try:
        match arguments:
            case ["keys", folder]:
                make_keys(Path(folder))
            case ["open", key, *files] if files:
                print("\n".join(open_captures(Path(key), [Path(file) for file in files])))
            case _:
                sys.exit("usage: python capture.py keys FOLDER | open KEY FILE…")
    except (CaptureError, OSError) as error:
        sys.exit(f"capture: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
