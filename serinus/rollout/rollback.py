"""What a person or a pipeline posts to have a canary rolled back."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from serinus.rollout.record import Words

_Short = Annotated[Words, Field(max_length=253)]


class Rollback(BaseModel):
    """The body of a rollback. Unknown keys are ignored: a caller may send more than we need."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    service: _Short = Field(description="the service's name")
    reason: Annotated[Words, Field(max_length=4096)] = Field(description="why; people will read it")
    by: _Short = Field(default="webhook", description="who asks")
    id: Annotated[str, Field(pattern=r"^[0-9A-Za-z._:/-]{0,200}$")] = Field(
        default="", description="the same id counts once, at most 200 letters, digits and ._:/-"
    )
