"""`POST /v1/feedback`: what users think of an answer, tied to the release that gave it."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.desk import Desk
from api.wire import parse, read_body
from exchange import Refusal

_RATINGS = range(1, 6)
Reason = Literal["wrong", "offensive", "unsafe", "private", "slow", "other"]

_ratings = Counter("llm_feedback_total", "Ratings of answers, 1 to 5", ["release", "rating"])
_reports = Counter("llm_reports_total", "Answers that users reported", ["release", "reason"])


class FeedbackRequest(BaseModel):
    """A rating, a report, or both. `release` is that of the answer; a user may since have been moved to another."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(max_length=128)]
    release: Annotated[str, Field(max_length=63)] | None = None
    rating: Annotated[int, Field(ge=_RATINGS[0], le=_RATINGS[-1])] | None = None
    report: Reason | None = None


class Feedback:
    """The route."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        # All series are there from the start, so that the first complaint is a rise from 0 that `rate` sees.
        for rating in _RATINGS:
            _ratings.labels(desk.release.id, rating)
        for reason in get_args(Reason):
            _reports.labels(desk.release.id, reason)

    async def post(self, request: Request) -> Response:
        """Count what a user says of an answer. No text is taken: it would be one more place with private words."""
        body = parse(FeedbackRequest, await read_body(request, self._desk.settings.body_bytes))
        if body.rating is None and body.report is None:
            raise Refusal(400, "invalid_request", "Give a rating (1 to 5), a report with its reason, or both.")
        release = body.release or self._desk.release.id
        if not self._desk.identity.is_answer_id(body.id, release):
            message = f"Release {release} gave no answer of this id. Send id and release as they stood in the answer."
            raise Refusal(404, "answer_not_found", message, param="id")
        if body.rating is not None:
            _ratings.labels(release, body.rating).inc()
        if body.report is not None:
            _reports.labels(release, body.report).inc()
        return JSONResponse({"id": body.id, "release": release}, 202)
