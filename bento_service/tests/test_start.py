"""A release that can't be served must not look as if it were starting: the process ends and says why."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from identity import Identity, KeyFileError
from release import ReleaseError, load_release
from settings import SettingsError, read_settings
from tests.conftest import Document, Server, document, eventually, launch, stop


def sampling(**changes: object) -> Document:
    """A document with such sampling."""
    return document(sampling={"max_tokens": 16, "temperature": 0.0} | changes)


@pytest.mark.parametrize(
    ("release", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "(document) is []"),
        (json.dumps({"id": "v1"}), "sampling is missing"),
        (document(engine="magic"), 'engine is "magic"'),
        (document(id="V1"), 'id is "V1"'),
        (document(extra=1), "extra is unknown"),
        (sampling(temperature=-1), "sampling.temperature is -1"),
        (sampling(max_tokens="16"), 'sampling.max_tokens is "16"'),
        (document(options={"delay": 5}), "options.delay is unknown"),
        (document(options={"fail_ratio": 2}), "options.fail_ratio is 2"),
        (document(options={"page_size": 64}), "options.page_size is unknown"),
        (document(engine="transformers", options={"page_size": 1}), "options.page_size is 1"),
    ],
)
def test_a_wrong_release_is_refused_by_file_key_and_value(
    tmp_path: Path, release: Document | str, complaint: str
) -> None:
    file = tmp_path / "release.json"
    file.write_text(release if isinstance(release, str) else json.dumps(release))
    with pytest.raises(ReleaseError) as error:
        load_release(file)
    assert f"{file}: {complaint}" in str(error.value)
    assert "Correct the release file" in str(error.value)


def test_a_wrong_release_ends_the_process(tmp_path: Path) -> None:
    server, _ = launch(tmp_path, document(options={"delay": 5}))
    assert server.process.wait(120) == 1
    assert "options.delay is unknown" in server.log
    assert "Traceback" not in server.log


def test_a_release_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"none\.json.*SERINUS_RELEASE_FILE"):
        load_release(tmp_path / "none.json")


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_a_wrong_setting_is_named(value: str) -> None:
    with pytest.raises(SettingsError, match=f"SERINUS_DEADLINE_SECONDS is '{value}'"):
        read_settings({"SERINUS_DEADLINE_SECONDS": value})


def test_a_key_that_is_short_or_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="can't be read"):
        Identity.read(tmp_path / "key")
    (tmp_path / "key").write_text("short")
    with pytest.raises(KeyFileError, match="at least 16"):
        Identity.read(tmp_path / "key")


def test_a_shared_key_lets_another_pod_check_an_answers_id(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef0123456789abcdef")
    one, other = Identity.read(key), Identity.read(key)
    answer_id = one.new_answer_id("v1-0123abcd")
    assert other.is_answer_id(answer_id, "v1-0123abcd")
    assert not other.is_answer_id(answer_id, "v2-4567cdef")
    assert not Identity(b"another key of enough length").is_answer_id(answer_id, "v1-0123abcd")
    assert one.user("bob") == other.user("bob") != one.user("eve")


@pytest.mark.model
def test_probes_are_answered_while_the_model_loads_and_a_failed_load_ends_the_process(tmp_path: Path) -> None:
    # Importing torch alone takes seconds, so this sees the loading, and the end that follows for want of weights.
    model = {"id": "none", "path": str(tmp_path / "nowhere"), "revision": "1"}
    server, _ = launch(tmp_path, document(engine="transformers", model=model))
    seen = {}

    def probed() -> bool:
        try:
            with server.client as client:
                for path in ("/livez", "/readyz", "/healthz"):
                    seen[path] = client.get(path).status_code
                seen["/chat"] = client.post("/chat", json={"prompt": "x"}).status_code
        except httpx.TransportError:
            return server.process.poll() is not None
        return True

    try:
        assert eventually(probed, seconds=120)
        assert seen == {"/livez": 200, "/readyz": 503, "/healthz": 503, "/chat": 503}
        assert eventually(lambda: server.process.poll() is not None, seconds=120), server.log
    finally:
        stop(server)
    assert f"can't start. model.path {tmp_path / 'nowhere'}" in server.log


def test_the_echo_engine_never_pays_for_torch(echo: Server) -> None:
    maps = Path(f"/proc/{echo.worker()}/maps").read_text(encoding="utf-8")
    assert "libtorch" not in maps
