"""The audit log: one line per request, of one schema, whatever became of it."""

from __future__ import annotations

import httpx

from audit import AuditRecord
from tests.conftest import Server


def test_every_line_is_a_record_of_the_schema(echo: Server, client: httpx.Client) -> None:
    before = len(echo.audit())
    client.post("/chat", json={"prompt": "x"})
    client.post("/chat", content=b"nonsense")
    client.post("/v1/chat/completions", json={"model": "default", "messages": [{"role": "user", "content": "x"}]})
    records = [AuditRecord.model_validate(line) for line in echo.audit()[before:]]
    assert [record.outcome for record in records] == ["ok", "client_error", "ok"]
    answered = records[0]
    assert answered.output_len == len("v1-0123abcd heard: x")
    assert answered.model_version == "echo-model@1"
    assert answered.ttft is not None
    assert 0 <= answered.ttft <= answered.duration
