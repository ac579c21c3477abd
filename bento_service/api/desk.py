"""Where every request comes in: it gets its id and its record, and whatever happens to it is reported once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from answering import Answering
from api.sending import unless_disconnected
from api.wire import parse, read_body
from exchange import Answer, Question, Refusal
from identity import Identity
from metrics import Metrics
from release import Release
from settings import Settings

Body = TypeVar("Body", bound=BaseModel)

USER_HEADER = "x-user-id"
BUCKET_HEADER = "x-user-bucket"
# Set by the gateway for requests that it sends to the canary: which role a release plays is not the pod's to know.
ROLE_HEADER = "x-serinus-role"


class Desk:
    """What handlers need of the process."""

    def __init__(
        self, release: Release, settings: Settings, identity: Identity, metrics: Metrics, answering: Answering
    ) -> None:
        self.release = release
        self.settings = settings
        self.identity = identity
        self.metrics = metrics
        self.answering = answering

    async def take(
        self, request: Request, model: type[Body], handle: Callable[[Request, Body, Answer], Awaitable[Response]]
    ) -> Response:
        """Read and check the body and let `handle` answer it; a refusal on the way is reported here."""
        answer = self._open(request)
        try:
            body = parse(model, await read_body(request, self.settings.body_bytes))
            response = await handle(request, body, answer)
        except Refusal as refusal:
            if answer.outcome is None:
                self.answering.refused(answer, refusal)
            raise
        return response

    async def whole(self, request: Request, question: Question, answer: Answer) -> None:
        """Fill the answer to its end. Raises `Refusal`."""
        await unless_disconnected(request.receive, self._exhaust(question, answer))

    def note(self, question: Question, answer: Answer, user_id: str | None = None) -> None:
        """Put the question, and the stand-ins of prompt and user, on the record."""
        answer.question = question
        text = "\0".join(f"{message.role}\0{message.content}" for message in question.messages)
        answer.prompt_digest = self.identity.prompt(text)
        if user_id is not None and answer.user_hash is None:
            answer.user_hash = self.identity.user(user_id)

    def notice(self, request: Request) -> str | None:
        """What a user on the canary is told, None for everyone else."""
        return self.settings.canary_notice if request.headers.get(ROLE_HEADER) == "canary" else None

    def notice_headers(self, request: Request) -> dict[str, str]:
        """The notice as a header, percent-encoded since headers are not UTF-8."""
        notice = self.notice(request)
        return {} if notice is None else {"X-Serinus-Notice": quote(notice, safe=" !,.:;?'()")}

    def _open(self, request: Request) -> Answer:
        user = request.headers.get(USER_HEADER)
        bucket = request.headers.get(BUCKET_HEADER)
        return Answer(
            id=self.identity.new_answer_id(self.release.id),
            path=request.url.path,
            user_hash=None if user is None else self.identity.user(user),
            # Whatever a client may send there, only a bucket gets into the log.
            bucket=bucket if bucket is not None and len(bucket) == 2 and bucket.isdecimal() else None,
        )

    async def _exhaust(self, question: Question, answer: Answer) -> None:
        async with aclosing(self.answering.stream(question, answer)) as pieces:
            async for _ in pieces:
                pass
