"""One Grafana dashboard for a service: canary beside stable, and the guards that fire.

It names no release and no weight, so a step changes nothing in it. Plain data: a library of builders would have to be
renewed with each Grafana, and two panels differ in little more than a query.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serinus.rollout.alert_queries import selector
from serinus.rollout.alertmanager import SERVICE

# The oldest Grafana schema that has all that is used here; a newer Grafana brings it up to date itself.
_SCHEMA = 36
_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 24
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_RATE = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph: what it is called, its unit as Grafana names it, and its queries by legend."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]


def dashboard(service: str, namespace: str) -> dict[str, Any]:
    """Return the dashboard's model, as Grafana imports it."""
    return {
        # Grafana takes at most 40 characters, and two names may differ only after that.
        "uid": f"serinus-{hashlib.sha256(f'{namespace}/{service}'.encode()).hexdigest()[:16]}",
        "title": f"Canary of {namespace}/{service}",
        "tags": ["serinus"],
        "schemaVersion": _SCHEMA,
        "editable": False,
        "refresh": "5s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": [_drawn(number, panel) for number, panel in enumerate(panels(service, namespace))],
    }


def panels(service: str, namespace: str) -> list[Panel]:
    """Return the graphs. Queries may use Grafana's $__rate_interval and nothing else of its own."""
    # As the gateway names them: its canary is the stable name with an ending.
    beginning = re.sub(r"[^0-9A-Za-z]+", "-", f"{namespace}-{service}-stable")
    canary = f'service=~"{beginning}-.+-canary@.+"'
    stable = f'service=~"{beginning}-.+",service!~".+-(canary|wrr)@.+"'
    arms = (("canary", canary), ("stable", stable))

    def requests(arm: str) -> str:
        return f"sum(rate(traefik_service_requests_total{{{arm}}}[{_RATE}]))"

    def failed(arm: str) -> str:
        bad = f'sum(rate(traefik_service_requests_total{{{arm},code=~"5.."}}[{_RATE}]))'
        # Until the first failure there is no such series, and a share of nothing would be a gap.
        return f"({bad} or vector(0))"

    def within(arm: str) -> str:
        buckets = f"rate(traefik_service_request_duration_seconds_bucket{{{arm}}}[{_RATE}])"
        return f"histogram_quantile(0.95, sum by (le) ({buckets}))"

    def by_release(metric: str, **labels: str) -> str:
        return f"sum by (release) (rate({selector(metric, namespace=namespace, **labels)}[{_RATE}]))"

    answered = by_release("llm_requests_total", outcome="ok")
    broken = f"{by_release('llm_requests_total', outcome='~engine_error|timeout')} / {by_release('llm_requests_total')}"
    first = f"rate({selector('gen_ai_server_time_to_first_token_seconds_bucket', namespace=namespace)}[{_RATE}])"
    to_first = f"histogram_quantile(0.95, sum by (release, le) ({first}))"
    firing = selector("ALERTS", **{SERVICE: service}, namespace=namespace, alertstate="firing")
    share = f"{requests(canary)} / ({requests(canary)} + {requests(stable)})"
    signs = [
        (f"{by_release('llm_answer_signals_total', signal=sign)} / {answered}", f"{sign} {{{{release}}}}")
        for sign in ("empty", "repetitive", "refusal")
    ]
    each = "{{release}}"
    return [
        Panel("Share of the canary", "percentunit", [(share, "observed")]),
        Panel("Requests per second", "reqps", [(requests(arm), name) for name, arm in arms]),
        Panel("Failed requests", "percentunit", [(f"{failed(arm)} / {requests(arm)}", name) for name, arm in arms]),
        Panel("P95 of whole answers", "s", [(within(arm), name) for name, arm in arms]),
        Panel("P95 to the first token", "s", [(to_first, each)]),
        Panel("Tokens written per second", "short", [(by_release("llm_tokens_total", type="output"), each)]),
        Panel("Answers that broke off", "percentunit", [(broken, each)]),
        Panel("Answers with a sign of trouble", "percentunit", signs),
        Panel("Guards that fire", "short", [(f"max by (alertname) ({firing})", "{{alertname}}")]),
    ]


def _drawn(number: int, panel: Panel) -> dict[str, Any]:
    per_row = _COLUMNS // _WIDTH
    place = {"x": number % per_row * _WIDTH, "y": number // per_row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _DATASOURCE, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }
