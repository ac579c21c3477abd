"""The form of everything that Serinus keeps in a Kubernetes object: frozen, strict, lowerCamelCase outside."""

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

# Documents come from YAML and JSON: a moment is a text there, and a sequence a list.
Moment = Annotated[AwareDatetime, Field(strict=False)]
Words = Annotated[str, Field(pattern=r"\S")]


class Record(BaseModel):
    """A frozen part of a Kubernetes object: lowerCamelCase there, snake_case here."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, alias_generator=to_camel, populate_by_name=True
    )

    def document(self) -> dict[str, Any]:
        """Return the JSON form that Kubernetes stores."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
