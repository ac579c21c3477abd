"""Says what an agent would say of a canary, all the time, so that a promoter can be tested without judging anything.

What it sees, it sees on the API server: weight, generation and release are real, the verdict is the test's.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from urllib3.exceptions import HTTPError

from local.alongside import alongside
from serinus.rollout import share
from serinus.rollout.canary_release import API_VERSION, Spec
from serinus.rollout.hold import Approval, Hold
from serinus.rollout.status import Observation, read_status
from serinus.rollout.step import allowed_weight, conclude
from serinus.rollout.verdict import Verdict
from serinus.rollout.violation import Violation
from tests.cluster.api import Api

_EVERY_SECONDS = 0.5


class Witness:
    """Writes the status of one service's CanaryRelease. Change `verdict`, `approved` and `hold` at any time."""

    def __init__(self, namespace: str, service: str = "chat") -> None:
        self.verdict = Verdict.PASS
        self.approved: tuple[int, ...] = ()
        self.hold = ""
        self.weights: list[int] = []
        """The shares that the canary's Ingress has had, each as often as it came anew."""
        self._api = Api()
        self._release = f"/apis/{API_VERSION}/namespaces/{namespace}/canaryreleases/{service}"
        self._ingress = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/{service}-canary"
        self._since = datetime.now(UTC)

    def look(self) -> None:
        """Look once, and write what is seen; somebody else's write in between is seen at the next look."""
        release, ingress = self._api.get(self._release), self._api.get(self._ingress)
        if not (release.ok and ingress.ok):
            return
        weight = share.share(ingress.document["metadata"].get("annotations", {}), uncounted=0)
        now = datetime.now(UTC)
        if not self.weights or self.weights[-1] != weight:
            self.weights.append(weight)
            self._since = now
        generation = int(release.document["metadata"]["generation"])
        spec = Spec.model_validate(release.document["spec"])
        seen = Observation(
            service=spec.service,
            canary=spec.canary,
            weight=weight,
            verdict=self.verdict,
            because="a test says so",
            step_started_at=self._since,
            # Whole seconds: the API server compares by the millisecond, and rounds its own side down.
            baked_seconds=(now - self._since) // timedelta(seconds=1),
            hold=self._held(release.document.get("status"), now),
            approvals=tuple(Approval(weight=one, by="ada", at=now) for one in self.approved),
            observed_at=now,
            observed_generation=generation,
        )
        status = conclude(seen, allowed_weight(spec.declared(generation), seen, now)).document()
        self._api.put(f"{self._release}/status", {**release.document, "status": status})

    def _held(self, before: Any, now: datetime) -> Hold | None:
        """A hold by anybody stays, as an agent would keep it."""
        status = read_status(before)
        if not isinstance(status, Violation) and status.hold is not None:
            return status.hold
        return Hold(reason=self.hold, by="serinus-agent", since=now) if self.hold else None


@contextmanager
def witnessed(namespace: str) -> Iterator[Witness]:
    """Let a witness look all the time until the block ends."""
    witness = Witness(namespace)

    def drive(ended: threading.Event) -> None:
        while not ended.is_set():
            try:
                witness.look()
            except HTTPError:
                time.sleep(_EVERY_SECONDS)
            ended.wait(_EVERY_SECONDS)

    with alongside(drive):
        yield witness
