"""How a stack splits its users, as its settings write it, and what a gateway must match for a share of them.

A gateway that reads the annotations of ingress-nginx matches one header per canary. So every way to split is a weight,
or one header with one pattern, and what would need two headers is refused when the settings are read. How that is
written for each kind of gateway, `serinus.rollout.renderers` knows.
"""

from ipaddress import ip_network
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from serinus.rollout import share
from serinus.rollout.buckets import ALONE, TAG, Lane
from serinus.rollout.patterns import (
    COOKIE_NAME,
    NOBODY,
    TESTER_WORD,
    PatternError,
    Tail,
    bucket_pattern,
    cookie_pattern,
    tail_pattern,
    word_pattern,
)
from serinus.rollout.record import Record

_HEADER = r"^[A-Za-z][A-Za-z0-9-]{0,63}$"
_HEADER_SAYS = "a header's name of letters, digits and '-', such as X-User-Id"
# In these headers a pattern would not see an id, but what everybody sends or what the gateway itself writes.
_NO_ID_HEADERS = ("cookie", "host", "authorization", share.TESTER_HEADER.lower(), share.BUCKET_HEADER.lower())


def _block(value: str) -> str:
    ip_network(value)
    return value


HeaderName = Annotated[str, Field(pattern=_HEADER, description=_HEADER_SAYS)]
Cidr = Annotated[str, AfterValidator(_block), Field(description="a block of addresses, such as 10.0.0.0/16")]
Tag = Annotated[str, Field(pattern=rf"^{TAG.pattern}$", max_length=32, description="letters, digits and '-'")]


class Only(Record):
    """A second dimension: of the share's users only those whom `header` gives one of `values`."""

    header: HeaderName = "X-User-Tag"
    values: Annotated[tuple[Tag, ...], Field(strict=False, min_length=1, max_length=5)] = Field(
        description='a list of 1 to 5 tags, such as ["VIP"]'
    )


class Split(Record):
    """Which users a share takes. What a mode has no use for is refused, so that nobody believes it counts."""

    by: Literal["weight", "bucket", "tail", "cookie"] = Field(
        default="weight", description="weight (requests), bucket (users), tail (of an id) or cookie (browsers)"
    )
    header: HeaderName = Field(default="X-User-Id", description=_HEADER_SAYS)
    cookie: str = Field(
        default="", pattern=rf"^({COOKIE_NAME.pattern})?$", description="a cookie's name, such as uid, or nothing"
    )
    claim: str = Field(default="", max_length=64, description="a claim of a JWT, such as sub, or nothing")
    conversation: str = Field(default="", pattern=rf"^({_HEADER[1:-1]})?$", description=f"{_HEADER_SAYS}, or nothing")
    digits: Literal[1, 2] = Field(default=2, description="how many digits of the id count, 1 or 2")
    base: Literal[10, 16] = Field(default=10, description="10 for ids in decimal, 16 for ids in hex, such as UUIDs")
    only: Only | None = Field(default=None, description='a second dimension, such as {"values": ["VIP"]}')
    tester_word: str = Field(
        default="",
        pattern=rf"^({TESTER_WORD.pattern})?$",
        description="4 to 64 letters, digits and '-', beginning with a letter, or nothing",
    )
    salt_per: Literal["service", "release"] = Field(
        default="service", description="service, or release so that each canary gets other users first"
    )
    conversations: Literal["move", "keep"] = Field(
        default="move",
        description="move (a conversation goes with the share) or keep (it ends on the release that it began on)",
    )
    keep_minutes: int = Field(
        default=60, ge=1, le=1440, description="how long a kept conversation may rest, minutes from 1 to 1440"
    )
    gateway: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?)?$",
        description="host and perhaps port under which the gateway reaches itself, such as traefik.traefik.svc:80",
    )
    gateway_sources: Annotated[tuple[Cidr, ...], Field(strict=False)] = Field(
        default=(), description='the addresses that the gateway itself comes from, such as ["10.0.3.0/24"]'
    )
    image: str = Field(default="", description="the bucketer's container image")
    replicas: int = Field(default=2, ge=1, le=50, description="how many bucketers, an integer from 1 to 50")

    @field_validator("header", "conversation")
    @classmethod
    def _may_hold_an_id(cls, name: str, info: ValidationInfo) -> str:
        if name.lower() in _NO_ID_HEADERS:
            raise ValueError(f"{name!r} holds no user's id")
        return name

    @model_validator(mode="after")
    def _fits_its_mode(self) -> Self:
        given = {key for key in self.model_fields_set if getattr(self, key) != type(self).model_fields[key].default}
        for key in sorted(given - {"by"}):
            if self.by not in _USED_BY[key]:
                raise ValueError(f"{_alias(key)} has no use with by: {self.by}; {_WHY_NOT.get(key, _only_with(key))}")
        missing = [key for key in _NEEDED_BY[self.by] if not getattr(self, key)]
        if missing:
            raise ValueError(f"by: {self.by} needs {' and '.join(_alias(key) for key in missing)}")
        if self.conversations == "keep" and not self.conversation:
            raise ValueError("conversations: keep needs conversation, the header that says which conversation it is")
        if "keep_minutes" in given and self.conversations != "keep":
            raise ValueError("keepMinutes has no use without conversations: keep")
        if self.by == "tail" and self.only is not None and "header" in self.only.model_fields_set:
            raise ValueError(
                "by: tail matches one header, so the tag follows the id in it (`…67_VIP`); drop only.header"
            )
        return self

    @property
    def tail(self) -> Tail:
        """The digits that count, with `by` tail or cookie."""
        return Tail(self.base, self.digits)


_USED_BY = {
    "header": ("bucket", "tail"),
    "cookie": ("bucket", "cookie"),
    "claim": ("bucket",),
    "conversation": ("bucket",),
    "digits": ("tail", "cookie"),
    "base": ("tail", "cookie"),
    "only": ("bucket", "tail"),
    "tester_word": ("bucket", "weight"),
    "salt_per": ("bucket",),
    "conversations": ("bucket",),
    "keep_minutes": ("bucket",),
    "gateway": ("bucket",),
    "gateway_sources": ("bucket",),
    "image": ("bucket",),
    "replicas": ("bucket",),
}
_NEEDED_BY = {
    "weight": (),
    "bucket": ("gateway", "gateway_sources", "image"),
    "tail": (),
    "cookie": ("cookie",),
}
_WHY_NOT = {
    "tester_word": "the gateway matches one header, and that is the id's. Use by: bucket",
    "only": "a gateway that counts requests knows no users. Use by: bucket or by: tail",
}


def _only_with(key: str) -> str:
    return f"it is read with {' and '.join(f'by: {mode}' for mode in _USED_BY[key])}"


def _alias(key: str) -> str:
    return str(Split.model_fields[key].alias)


class Match(NamedTuple):
    """What takes a request to the canary: the pattern on the header, and of all others `weight` percent.

    header and pattern are empty where no header counts.
    """

    weight: int
    header: str = ""
    pattern: str = ""

    def annotations(self) -> dict[str, str]:
        """Return the annotations of ingress-nginx that say so on a canary's Ingress."""
        by_header = {share.HEADER: self.header, share.PATTERN: self.pattern} if self.header else {}
        return {share.CANARY: "true", share.WEIGHT: str(self.weight)} | by_header


def match(split: Split, weight: int, testers: bool = False, lane: Lane = ALONE) -> Match:
    """Return what a gateway must match for a share of `weight` percent.

    `testers`: whether the bucketer knows testers by their ids. A share of 0 is for nobody, testers included: it is what
    a cut writes. `lane`: the buckets of this canary, where it is one of several. Raises PatternError for a share that
    the tails or the lane can't express.
    """
    if split.by not in ("bucket", "weight") and lane != ALONE:
        raise PatternError(f"by: {split.by} has no lanes for several canaries; use by: bucket")
    if weight > lane.most:
        raise PatternError(
            f"a share of {weight} % does not fit into a lane of {lane.most} %; use less, or a wider lane"
        )
    if split.by == "tail":
        return Match(0, split.header, tail_pattern(split.tail, weight, split.only.values if split.only else ()))
    if split.by == "cookie":
        return Match(0, "Cookie", cookie_pattern(split.cookie, split.tail, weight))
    if split.by == "bucket":
        tags = split.only.values if split.only else ()
        return Match(
            0, share.BUCKET_HEADER, bucket_pattern(lane.range(weight), tags, testers or bool(split.tester_word))
        )
    if split.tester_word:
        return Match(weight, share.TESTER_HEADER, word_pattern(split.tester_word) if weight else NOBODY)
    return Match(weight)


def inner_host(service: str, namespace: str) -> str:
    """Return the host behind which buckets are matched. Only the gateway itself may reach it."""
    return f"{service}.{namespace}.serinus.internal"
