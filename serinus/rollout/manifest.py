"""A release: what exactly answers the users, and the id that names it.

Image, weights, prompt, sampling and engine flags decide together how a service answers. So they are one tuple,
hashed into the id: who changes the prompt has a new release, not the old one with other answers. How a release runs
(replicas, resources, patience) is not part of what it is and stays out of the hash.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serinus.rollout.canonical import digest
from serinus.rollout.complaints import complaints
from serinus.rollout.yaml_text import read_yaml

_IDENTITY = ("image", "engine", "model", "prompt", "sampling", "options")
_ID_HEX_DIGITS = 8

Text = Annotated[str, Field(min_length=1)]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]
Scalar = bool | int | float | str


class ManifestError(ValueError):
    """A release file that can't be used. The message names file, key, value and what is allowed."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Model(_Part):
    """The weights: which model, where the pod finds it, which revision of it."""

    id: Text = Field(description="the model's name, such as SmolLM2-135M-Instruct")
    path: str = Field(pattern=r"^/", description="an absolute path in the pod, such as /models/smollm2-135m-instruct")
    revision: Text = Field(description="the revision of the weights, such as a commit or a sha256 in hex, in quotes")


class Prompt(_Part):
    """What the model is told before the user speaks."""

    system: str = Field(description="a text, possibly empty")


class Sampling(_Part):
    """How tokens are drawn. A temperature of 0 means greedy decoding."""

    max_tokens: int = Field(default=16, ge=1, le=131072, description="an integer from 1 to 131072")
    temperature: float = Field(default=0.0, ge=0, le=2, description="a number from 0 to 2")
    top_p: float = Field(default=1.0, gt=0, le=1, description="a number above 0, at most 1")
    repetition_penalty: float = Field(default=1.0, gt=0, le=2, description="a number above 0, at most 2")
    seed: int = Field(default=0, ge=0, lt=2**31, description="an integer from 0 to 2147483647")


class Resources(_Part):
    """What one pod asks the cluster for, as Kubernetes quantities."""

    cpu: Quantity = Field(default="500m", description="a Kubernetes quantity in quotes, such as '500m' or '2'")
    memory: Quantity = Field(default="2Gi", description="a Kubernetes quantity in quotes, such as '2Gi'")


class Release(_Part):
    """One versioned release of a service, as its file in `releases/` declares it."""

    name: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=40,  # `<service>-<name>` is a Service's name, and that is limited to 63
        description="a DNS label of at most 40 characters: a-z, 0-9 and '-', with no '-' at either end",
    )
    image: Text = Field(description="a container image; in production by digest: registry.example/serving@sha256:…")
    engine: Literal["transformers", "openai", "echo"] = Field(description="transformers, openai or echo")
    model: Model = Field(description="a mapping with id, path and revision")
    prompt: Prompt = Field(description="a mapping with system")
    sampling: Sampling = Field(default=Sampling(), description="a mapping with max_tokens, temperature, top_p, …")
    options: Mapping[str, Scalar] = Field(default={}, description="an engine's flags, each a number, text or boolean")
    load_seconds: int = Field(default=180, ge=1, le=86400, description="seconds until a pod is ready, 1 to 86400")
    drain_seconds: int = Field(default=15, ge=1, le=3600, description="seconds of the longest answer, 1 to 3600")
    replicas: int = Field(default=1, ge=1, le=1000, description="an integer from 1 to 1000")
    resources: Resources = Field(default=Resources(), description="a mapping with cpu and memory")

    @cached_property
    def digest(self) -> str:
        """The sha256, as 64 hex digits, of the canonical JSON of what decides the answers."""
        return digest(self._identity())

    @property
    def id(self) -> str:
        """The release's name and the first 8 hex digits of its digest, such as `v1-0f3a9c21`."""
        return f"{self.name}-{self.digest[:_ID_HEX_DIGITS]}"

    def document(self) -> dict[str, Any]:
        """Return what the pod reads: the hashed tuple and the id.

        Equal ids give equal documents, so a ConfigMap named after the id never has to change.
        """
        return {"id": self.id, **self._identity()}

    def _identity(self) -> dict[str, Any]:
        return self.model_dump(mode="json", include=set(_IDENTITY))


def load_release(path: Path) -> Release:
    """Read one release file.

    Raises ManifestError when the file is missing, is no YAML mapping, or breaks the schema; every mistake is listed.
    """
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: can't be read ({error.strerror}); write it as releases/<name>.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: is not YAML in UTF-8: {error}") from error
    if not isinstance(content, dict):
        allowed = ", ".join(Release.model_fields)
        raise ManifestError(f"{path}: holds {content!r}, not a mapping; allowed keys: {allowed}")
    try:
        return Release.model_validate(content)
    except ValidationError as error:
        raise ManifestError("\n".join(f"{path}: {sentence}" for sentence in complaints(Release, error))) from error
