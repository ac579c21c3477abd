"""What the agent shows of itself: whether it leads, what it sees, and how long a cut took."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serinus.rollout.status import Status
from serinus.rollout.verdict import Verdict

_CUT_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)


class Telemetry:
    """The agent's own series; all exist from the start, so that the first of each is seen."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self._leads = self._gauge("serinus_agent_leads", "1 in the replica that judges")
        self._weight = self._gauge("serinus_canary_weight", "Percent of the traffic on the canary")
        self._allowed = self._gauge("serinus_canary_allowed_weight", "The highest weight that is safe now")
        self._held = self._gauge("serinus_canary_held", "1 while nobody may raise the weight")
        self._observed = self._gauge("serinus_status_observed_seconds", "When the status was written last, Unix time")
        verdicts = Gauge(
            "serinus_canary_verdict", "1 at the verdict of now", ["serinus_service", "verdict"], registry=self.registry
        )
        self._verdicts = {verdict: verdicts.labels(service, verdict) for verdict in Verdict}
        readings = Counter(
            "serinus_gateway_readings_total", "Readings of the gateway", ["result"], registry=self.registry
        )
        self.readings = {result: readings.labels(result) for result in ("ok", "silent", "garbage")}
        self.api_failures = Counter(
            "serinus_api_failures_total", "Requests to the API server that failed", registry=self.registry
        )
        self.prometheus_up = Gauge("serinus_prometheus_up", "1 while Prometheus answers", registry=self.registry)
        self.demands = Counter("serinus_demands_total", "Demands taken", registry=self.registry)
        self.cuts = Counter("serinus_cuts_total", "Cuts made", registry=self.registry)
        self.cut_seconds = Histogram(
            "serinus_cut_seconds", "From the decision to the cut Ingress", buckets=_CUT_SECONDS, registry=self.registry
        )
        for gauge in (self._leads, self._weight, self._allowed, self._held, self._observed):
            gauge.labels(service)
        self._service = service

    def leads(self, leads: bool) -> None:
        """Say whether this replica leads."""
        self._leads.labels(self._service).set(leads)

    def observed(self, status: Status, now: datetime) -> None:
        """Show a status as it was written."""
        self._weight.labels(self._service).set(status.weight)
        self._allowed.labels(self._service).set(status.allowed_weight)
        self._held.labels(self._service).set(status.hold is not None)
        self._observed.labels(self._service).set(now.timestamp())
        for verdict, gauge in self._verdicts.items():
            gauge.set(status.verdict is verdict)

    def page(self) -> bytes:
        """Return all series in Prometheus' text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ["serinus_service"], registry=self.registry)
