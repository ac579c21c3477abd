"""What the agent shows of itself: whether it leads, how each service is, what it sees, and how long a cut took."""

import math
from datetime import datetime
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from serinus.agent.place import Place
from serinus.rollout.bill import Bill
from serinus.rollout.status import Status
from serinus.rollout.verdict import Verdict

_CUT_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
_OF = ["serinus_namespace", "serinus_service"]


class State(StrEnum):
    """How a service is served; the log says the rest."""

    WELL = "well"
    UNBOUND = "unbound"  # no stack has bound the agent, or its rights are gone
    TERMS = "terms"  # a part of its Secret can't be used
    UNREADABLE = "unreadable"  # its CanaryRelease can't be read
    API = "api"  # the API server refuses or is away
    FAILED = "failed"  # a mistake of the agent's


class Telemetry:
    """The series of the whole agent. Those of a service exist from when it is first seen to when it goes."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # Memory, CPU and open files of the process: what many services cost is to be seen.
        ProcessCollector(registry=self.registry)
        self._leads = Gauge("serinus_agent_leads", "1 in the replica that judges", registry=self.registry)
        self.state = self._gauge("serinus_service_state", "1 at how the service is served", "state")
        self.weight = self._gauge("serinus_canary_weight", "Percent of the traffic on the canary")
        self.allowed = self._gauge("serinus_canary_allowed_weight", "The highest weight that is safe now")
        self.held = self._gauge("serinus_canary_held", "1 while nobody may raise the weight")
        self.observed = self._gauge("serinus_status_observed_seconds", "When the status was written last, Unix time")
        self.verdict = self._gauge("serinus_canary_verdict", "1 at the verdict of now", "verdict")
        self.prometheus_up = self._gauge("serinus_prometheus_up", "1 while the service's Prometheus answers")
        self.budget = self._gauge("serinus_canary_budget", "What the canary may cost today; NaN without a budget")
        self.cost = self._gauge("serinus_canary_cost", "What the canary has cost today; NaN while nothing is known")
        self.forecast = self._gauge("serinus_canary_cost_forecast", "The cost of the day at its end, at today's rate")
        self.demands = self._counter("serinus_demands_total", "Demands taken")
        self.cuts = self._counter("serinus_cuts_total", "Cuts made")
        self.garbage = self._counter("serinus_gateway_garbage_total", "Readings of a service that can't be right")
        readings = Counter(
            "serinus_gateway_readings_total", "Readings of the gateway", ["result"], registry=self.registry
        )
        self.readings = {result: readings.labels(result) for result in ("ok", "silent", "garbage")}
        self.api_failures = Counter(
            "serinus_api_failures_total", "Requests to the API server that failed", registry=self.registry
        )
        self.cut_seconds = Histogram(
            "serinus_cut_seconds", "From the decision to the cut Ingress", buckets=_CUT_SECONDS, registry=self.registry
        )

    def leads(self, leads: bool) -> None:
        """Say whether this replica leads."""
        self._leads.set(leads)

    def of(self, place: Place) -> "Seen":
        """Return what is shown of one service."""
        return Seen(self, place)

    def page(self) -> bytes:
        """Return all series in Prometheus' text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str, *more: str) -> Gauge:
        return Gauge(name, text, [*_OF, *more], registry=self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, _OF, registry=self.registry)


class Seen:
    """One service's series."""

    def __init__(self, telemetry: Telemetry, place: Place) -> None:
        self._all = telemetry
        self._labels = labels = (place.namespace, place.service)
        plain = (telemetry.weight, telemetry.allowed, telemetry.held, telemetry.observed, telemetry.prometheus_up)
        for gauge in plain:
            gauge.labels(*labels)
        costs = (telemetry.budget, telemetry.cost, telemetry.forecast)
        self._costs = [gauge.labels(*labels) for gauge in costs]
        self._bill(None)
        self._plain = (*plain, *costs, telemetry.demands, telemetry.cuts, telemetry.garbage)
        self.demands = telemetry.demands.labels(*labels)
        self.cuts = telemetry.cuts.labels(*labels)
        self.garbage = telemetry.garbage.labels(*labels)
        self.prometheus_up = telemetry.prometheus_up.labels(*labels)
        self.api_failures = telemetry.api_failures
        self.cut_seconds = telemetry.cut_seconds
        self._verdicts = {verdict: telemetry.verdict.labels(*labels, verdict) for verdict in Verdict}
        self._states = {state: telemetry.state.labels(*labels, state) for state in State}

    def state(self, state: State) -> None:
        """Say how the service is served."""
        for one, gauge in self._states.items():
            gauge.set(one is state)

    def observed(self, status: Status, now: datetime) -> None:
        """Show a status as it was written."""
        self._all.weight.labels(*self._labels).set(status.weight)
        self._all.allowed.labels(*self._labels).set(status.allowed_weight)
        self._all.held.labels(*self._labels).set(status.hold is not None)
        self._all.observed.labels(*self._labels).set(now.timestamp())
        for verdict, gauge in self._verdicts.items():
            gauge.set(status.verdict is verdict)
        self._bill(status.budget)

    def _bill(self, bill: Bill | None) -> None:
        known = (bill.per_day, bill.spent, bill.forecast) if bill else (None, None, None)
        for gauge, money in zip(self._costs, known, strict=True):
            gauge.set(math.nan if money is None else money)

    def forget(self) -> None:
        """Take the service's series away."""
        for one in self._plain:
            one.remove(*self._labels)
        for verdict in Verdict:
            self._all.verdict.remove(*self._labels, verdict)
        for state in State:
            self._all.state.remove(*self._labels, state)
