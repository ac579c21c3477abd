"""The release file: its id, its document, and what a person reads when it is wrong."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from serinus.rollout.manifest import ManifestError, Release, load_release

V1: dict[str, Any] = {
    "name": "v1",
    "image": "localhost/serinus-serving:local",
    "engine": "transformers",
    "model": {"id": "SmolLM2-135M-Instruct", "path": "/models/smollm2-135m-instruct", "revision": "abc"},
    "prompt": {"system": "You are brief."},
}


def written(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "v1.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def changed(**changes: object) -> Release:
    return Release.model_validate({**V1, **changes})


def test_a_short_file_is_filled_with_defaults(tmp_path: Path) -> None:
    release = load_release(written(tmp_path, V1))
    assert (release.sampling.max_tokens, release.sampling.temperature, release.options) == (16, 0.0, {})
    assert (release.load_seconds, release.drain_seconds, release.replicas) == (180, 15, 1)
    assert release.resources.memory == "2Gi"


def test_the_id_is_the_name_and_the_hash_of_the_canonical_tuple() -> None:
    release = changed()
    identity = {key: value for key, value in release.document().items() if key != "id"}
    assert set(identity) == {"image", "engine", "model", "prompt", "sampling", "options"}
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert release.digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert release.id == f"v1-{release.digest[:8]}" == release.document()["id"]


@pytest.mark.parametrize(
    "change",
    [
        {"image": "localhost/serinus-serving:other"},
        {"engine": "echo"},
        {"model": {**V1["model"], "revision": "abd"}},
        {"prompt": {"system": "You are brief!"}},
        {"sampling": {"temperature": 0.1}},
        {"options": {"max_concurrency": 8}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_the_answers_changes_the_id(change: dict[str, object]) -> None:
    assert changed(**change).id != changed().id


@pytest.mark.parametrize(
    "change",
    [{"load_seconds": 20}, {"drain_seconds": 30}, {"replicas": 3}, {"resources": {"cpu": "2", "memory": "4Gi"}}],
    ids=lambda change: next(iter(change)),
)
def test_how_a_release_runs_does_not_change_the_id_nor_the_document(change: dict[str, object]) -> None:
    assert changed(**change).document() == changed().document()


def test_a_number_written_as_integer_or_decimal_is_the_same_release() -> None:
    assert changed(sampling={"temperature": 1}).id == changed(sampling={"temperature": 1.0}).id


def test_a_default_that_is_written_out_is_the_same_release() -> None:
    assert changed(sampling={"max_tokens": 16, "seed": 0}, options={}).id == changed().id


def test_text_beyond_ascii_survives_into_the_document() -> None:
    assert changed(prompt={"system": "你好"}).document()["prompt"] == {"system": "你好"}


def test_a_release_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        changed().name = "v2"


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"weight": 5}, ["weight: unknown key", "5", "allowed keys: name, image, engine"]),
        ({"sampling": {"temprature": 0.5}}, ["sampling.temprature: unknown", "0.5", "keys: max_tokens, temperature"]),
        ({"sampling": {"temperature": "warm"}}, ["sampling.temperature: 'warm'", "a number from 0 to 2"]),
        ({"sampling": {"temperature": float("nan")}}, ["sampling.temperature: nan", "a number from 0 to 2"]),
        ({"sampling": {"max_tokens": True}}, ["sampling.max_tokens: True", "1 to 131072"]),
        ({"sampling": {"max_tokens": 0}}, ["sampling.max_tokens: 0", "1 to 131072"]),
        ({"engine": "vllm"}, ["engine: 'vllm'", "transformers, openai or echo"]),
        ({"name": "V_1"}, ["name: 'V_1'", "a DNS label"]),
        ({"name": "v" * 41}, ["name: 'vvv", "at most 40 characters"]),
        ({"name": 1}, ["name: 1", "a DNS label"]),
        ({"image": ""}, ["image: ''", "a container image"]),
        ({"model": "smollm"}, ["model: 'smollm'", "id, path and revision"]),
        ({"model": {"id": "m", "path": "models/m", "revision": "r"}}, ["model.path: 'models/m'", "an absolute path"]),
        ({"model": {"id": "m", "path": "/m"}}, ["model.revision: missing", "the revision of the weights"]),
        ({"options": {"delay_ms": [1]}}, ["options.delay_ms", "[1]", "an engine's flag"]),
        ({"replicas": "2"}, ["replicas: '2'", "1 to 1000"]),
        ({"resources": {"memory": "lots"}}, ["resources.memory: 'lots'", "a Kubernetes quantity"]),
        ({"resources": {"cpu": 2}}, ["resources.cpu: 2", "in quotes"]),
    ],
)
def test_a_mistake_names_file_key_value_and_what_is_allowed(
    tmp_path: Path, change: dict[str, object], parts: list[str]
) -> None:
    path = written(tmp_path, {**V1, **change})
    with pytest.raises(ManifestError) as caught:
        load_release(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_every_mistake_is_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        load_release(written(tmp_path, {**V1, "engine": "vllm", "replicas": 0, "wait": 3}))
    assert len(str(caught.value).splitlines()) == 3


def test_a_long_value_is_shortened(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        load_release(written(tmp_path, {**V1, "engine": "x" * 5000}))
    assert len(str(caught.value)) < 400


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"v9\.yaml: can't be read \(No such file or directory\)"):
        load_release(tmp_path / "v9.yaml")


@pytest.mark.parametrize("content", [b"", b"- a\n- b\n", b"just text\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "v1.yaml"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"v1\.yaml: holds .*not a mapping; allowed keys: name, image"):
        load_release(path)


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"a: !!python/object:os.system x"])
def test_a_file_that_is_no_safe_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "v1.yaml"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"v1\.yaml: is not YAML in UTF-8"):
        load_release(path)
