"""The release document: what this process answers with. Nothing else configures model, prompt or sampling.

The document is the canonical JSON that the stack mounts; its hash is part of the release id. So an answer can be
traced to the exact weights, prompt and sampling that made it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.options import ENGINE_OPTIONS, EngineOptions

REMEDY = "Correct the release file and roll the release out again."


class ReleaseError(Exception):
    """The release document is missing or wrong; the message names file, key, value and what is allowed."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Model(_Part):
    """Which weights answer: `path` is a local directory, or the base URL of a server for the engine `openai`."""

    id: Annotated[str, Field(min_length=1)]
    path: Annotated[str, Field(min_length=1)]
    revision: Annotated[str, Field(min_length=1)]


class PromptTemplate(_Part):
    """What stands before every conversation; empty for none."""

    system: str = ""


class Sampling(_Part):
    """How tokens are drawn. `max_tokens` is the default and the ceiling of an answer's length, in tokens."""

    max_tokens: Annotated[int, Field(ge=1, le=131_072)]
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] = 1.0
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class Release(_Part):
    """One release: the tuple that is hashed, and its id."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
    image: Annotated[str, Field(min_length=1)]
    engine: Literal["transformers", "openai", "echo"]
    model: Model
    prompt: PromptTemplate = PromptTemplate()
    sampling: Sampling
    options: dict[str, object] = Field(default_factory=dict)

    def engine_options(self) -> EngineOptions:
        """The engine's own options, checked. Raises `pydantic.ValidationError`."""
        return ENGINE_OPTIONS[self.engine].model_validate(self.options)


def load_release(path: Path) -> Release:
    """Read the release document at `path`. Raises `ReleaseError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(
            f"{path}: the release document can't be read ({error}). SERINUS_RELEASE_FILE must name its JSON file."
        ) from error
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ReleaseError(f"{path}: not JSON ({error}). {REMEDY}") from error
    try:
        release = Release.model_validate(document)
    except ValidationError as error:
        raise ReleaseError(_describe(path, error, ())) from error
    if release.engine == "openai" and not release.model.path.startswith(("http://", "https://")):
        wanted = "the base URL of the server, such as http://localhost:8000/v1"
        raise ReleaseError(f'{path}: model.path is "{release.model.path}": engine openai needs {wanted}. {REMEDY}')
    try:
        release.engine_options()
    except ValidationError as error:
        raise ReleaseError(_describe(path, error, ("options",))) from error
    return release


def _describe(path: Path, error: ValidationError, prefix: tuple[str, ...]) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        key = ".".join([*prefix, *(str(part) for part in problem["loc"])]) or "(document)"
        if problem["type"] == "missing":
            lines.append(f"{path}: {key} is missing")
        elif problem["type"] == "extra_forbidden":
            lines.append(f"{path}: {key} is unknown")
        else:
            lines.append(f"{path}: {key} is {json.dumps(problem['input'], default=str)[:120]}: {problem['msg']}")
    return "\n".join([*lines, REMEDY])
