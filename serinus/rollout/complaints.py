"""Turns a failed pydantic validation into sentences for people.

pydantic says what it could not parse. A person needs the key as written in the file, the value that stands there,
and what is allowed. What is allowed is the field's own description, so it stands beside the type and nowhere else.
"""

from typing import get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

_LONGEST_VALUE = 80


def complaints(model: type[BaseModel], error: ValidationError) -> list[str]:
    """Return one sentence per mistake: key, value, what is wrong, what is allowed.

    `model` is the class whose validation raised `error`; its field descriptions say what is allowed.
    """
    return [_complaint(model, one["type"], one["loc"], one["input"], one["msg"]) for one in error.errors()]


def _complaint(model: type[BaseModel], kind: str, loc: tuple[int | str, ...], value: object, message: str) -> str:
    key = ".".join(str(part) for part in loc) or "the document"
    if kind == "extra_forbidden":
        owner, _ = _resolve(model, loc[:-1])
        return f"{key}: unknown key (its value is {_shown(value)}); allowed keys: {', '.join(_fields(owner))}"
    _, field = _resolve(model, loc)
    allowed = f"; allowed: {field.description}" if field is not None and field.description else ""
    if kind == "missing":
        return f"{key}: missing{allowed}"
    if kind == "value_error":  # raised by our own validators, which name the values
        return f"{key}: {message.removeprefix('Value error, ')}{allowed}"
    shown = "what stands there" if field is not None and _is_secret(field.annotation) else _shown(value)
    return f"{key}: {shown} is not allowed ({message}){allowed}"


def _resolve(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[type[BaseModel], FieldInfo | None]:
    """Follow `loc` through nested models as far as it names fields; return the last model and field on the way."""
    owner, field = model, None
    for part in loc:
        if isinstance(part, int):  # a place in a list, whose field is known already
            continue
        found = _fields(owner).get(part)
        if found is None:
            break
        field = found
        owner = _model_in(found.annotation) or owner
    return owner, field


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by the names that documents write."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model that a field holds, alone, among other types or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _is_secret(annotation: object) -> bool:
    """Whether a field holds what must never be repeated."""
    return annotation is SecretStr or any(_is_secret(part) for part in get_args(annotation))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
