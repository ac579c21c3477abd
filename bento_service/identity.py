"""Keyed hashes: users and prompts appear in records only as these, and an answer's id proves who gave it.

A plain hash of a user id is undone by hashing all ids; with a secret key it is not. All pods of a service share the
key, so feedback that reaches another pod than the one that answered is still checked.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from hashlib import md5, sha256
from pathlib import Path

log = logging.getLogger("serinus.chat")

MIN_KEY_BYTES = 16
_TAG_DIGITS = 16


class KeyFileError(Exception):
    """The key can't be used; the message names the file."""


class Identity:
    """Makes and checks them under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def read(cls, path: Path | None) -> Identity:
        """The key from a file, or one of this process alone when no file is given. Raises `KeyFileError`."""
        if path is None:
            log.warning("SERINUS_KEY_FILE is not set: hashes and answer ids are good for this process alone")
            return cls(secrets.token_bytes(32))
        try:
            key = path.read_bytes().strip()
        except OSError as error:
            raise KeyFileError(f"SERINUS_KEY_FILE {path} can't be read ({error}). Mount the Secret there.") from error
        if len(key) < MIN_KEY_BYTES:
            raise KeyFileError(f"SERINUS_KEY_FILE {path} has {len(key)} bytes; at least {MIN_KEY_BYTES} are needed.")
        return cls(key)

    def user(self, user_id: str) -> str:
        """A user id's stand-in, 32 hex digits."""
        return hmac.new(self._key, b"user\0" + user_id.encode(), sha256).hexdigest()[:32]

    def prompt(self, text: str) -> str:
        """A prompt's stand-in, 32 hex digits: equal prompts can be counted, none can be guessed."""
        # The field's name and width are the audit format's; the key is what protects it, not MD5.
        return hmac.new(self._key, b"prompt\0" + text.encode(), md5).hexdigest()

    def new_answer_id(self, release_id: str) -> str:
        """A new id for an answer of this release."""
        nonce = secrets.token_hex(8)
        return f"chatcmpl-{nonce}{self._tag(nonce, release_id)}"

    def is_answer_id(self, answer_id: str, release_id: str) -> bool:
        """Whether that release gave an answer of that id."""
        prefix, _, rest = answer_id.partition("-")
        if prefix != "chatcmpl" or len(rest) != 16 + _TAG_DIGITS or not rest.isascii():
            return False
        return hmac.compare_digest(rest[16:], self._tag(rest[:16], release_id))

    def _tag(self, nonce: str, release_id: str) -> str:
        return hmac.new(self._key, f"answer\0{nonce}\0{release_id}".encode(), sha256).hexdigest()[:_TAG_DIGITS]
