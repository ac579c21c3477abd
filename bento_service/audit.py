"""The audit log: one JSON line per request, refused ones too. Enough to say who got what kind of answer from which
release, and when; never a prompt, an answer or a user id."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from exchange import Answer, Outcome
from release import Release

STDOUT = 1


class AuditRecord(BaseModel):
    """One line. Times are UTC and ISO 8601, durations in seconds; `output_len` counts characters. `user_id_hash` and
    `prompt_md5` are keyed. What the request did not get to is null."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["audit"] = "audit"
    timestamp: str
    id: str
    path: str
    release: str
    model_version: str
    user_id_hash: str | None
    bucket: str | None
    prompt_md5: str | None
    prompt_tokens: int
    output_tokens: int
    output_len: int
    duration: float
    ttft: float | None
    finish_reason: str | None
    outcome: Outcome
    error: str | None


class AuditLog:
    """Writes records to a file, or to standard output where the cluster's log collector takes them."""

    def __init__(self, release: Release, path: Path | None) -> None:
        self._release = release.id
        self._model_version = f"{release.model.id}@{release.model.revision}"
        # One write per line, unbuffered: lines of several writers never mix, and none is lost with the process.
        self._descriptor = STDOUT if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def ended(self, answer: Answer) -> None:
        """Write the record of a request that has ended."""
        record = AuditRecord(
            timestamp=datetime.fromtimestamp(answer.received_at, UTC).isoformat(timespec="milliseconds"),
            id=answer.id,
            path=answer.path,
            release=self._release,
            model_version=self._model_version,
            user_id_hash=answer.user_hash,
            bucket=answer.bucket,
            prompt_md5=answer.prompt_digest,
            prompt_tokens=answer.prompt_tokens,
            output_tokens=answer.tokens,
            output_len=sum(map(len, answer.parts)),
            duration=round(answer.ended - answer.started, 6),
            ttft=None if answer.first_token is None else round(answer.first_token - answer.started, 6),
            finish_reason=answer.finish_reason,
            outcome=answer.outcome or "engine_error",
            error=answer.error,
        )
        os.write(self._descriptor, record.model_dump_json().encode() + b"\n")
