"""The reference page of every series that Serinus' own programs show.

The agent is asked for its series. The model service is a project of its own with an environment of its own, so its
series are read out of its source.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from docs.page import page, table
from serinus.agent.place import Place
from serinus.agent.telemetry import Telemetry

_TYPES = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram"}


class Series(NamedTuple):
    """One metric; `edges` are the bounds of a histogram's buckets."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str
    edges: tuple[float, ...] = ()

    def row(self) -> list[str]:
        """Return its row of the table."""
        edges = f"; edges {', '.join(f'{edge:g}' for edge in self.edges)}" if self.edges else ""
        return [f"`{self.name}`", self.type, ", ".join(f"`{label}`" for label in self.labels), self.meaning + edges]


def metrics_page(root: Path) -> str:
    """Return the page; `root` is the project's folder."""
    heads = ["series", "type", "labels", "what it says"]
    return page(
        [
            "# Metrics",
            "All series of a program are there from its start, at 0: what is born at 5 hides its first burst. None"
            " holds a prompt, an answer or a user's id. The bucketer shows none; what it costs is in the gateway's.",
            "## The model service",
            "On every pod of a release, `/metrics` on the port `http`. `release` is the release's id. Names follow"
            " OpenTelemetry's conventions for generative AI where there is one (`gen_ai_…`).",
            *table(heads, (one.row() for one in service_series(root / "bento_service"))),
            "## The agent",
            "On every replica, `/metrics` on port 8080. One replica leads; the others show what they saw last.",
            *table(heads, (one.row() for one in agent_series())),
            "## The gateway's, which the judge and the guards read",
            "Traefik's own, with `--metrics.prometheus.addServicesLabels=true`. Its buckets must have an edge at each"
            " `slow.seconds` and at each threshold of a guard in seconds.",
            *table(
                heads,
                [
                    Series("traefik_service_requests_total", "counter", _GATEWAY, "Requests by their answer").row(),
                    Series(
                        "traefik_service_request_duration_seconds", "histogram", _GATEWAY, "From request to last byte"
                    ).row(),
                    Series("traefik_config_last_reload_success", "gauge", (), "That the gateway shows anything").row(),
                ],
            ),
        ]
    )


_GATEWAY = ("service", "code", "method", "protocol")


def agent_series() -> Iterator[Series]:
    """The agent's series, as a registry shows them before anything has happened."""
    telemetry = Telemetry()
    telemetry.of(Place("shop", "chat"))
    for family in sorted(telemetry.registry.collect(), key=lambda one: one.name):
        labels: dict[str, None] = {}
        edges: dict[float, None] = {}
        for sample in family.samples:
            labels.update(dict.fromkeys(label for label in sample.labels if label != "le"))
            if sample.labels.get("le", "+Inf") != "+Inf":
                edges[float(sample.labels["le"])] = None
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield Series(name, family.type, tuple(labels), family.documentation, tuple(edges))


def service_series(folder: Path) -> Iterator[Series]:
    """The model service's series, as its source declares them."""
    found = [one for file in sorted(folder.rglob("*.py")) if "tests" not in file.parts for one in _declared(file)]
    yield from sorted(found)


def _declared(file: Path) -> Iterator[Series]:
    """Every metric that a module makes when it is imported."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    known: dict[str, Any] = {}
    for statement in tree.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        value = statement.value
        if isinstance(value, ast.Tuple):
            known[statement.targets[0].id] = _plain(value, {})
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _TYPES:
            name, meaning, labels = (_plain(argument, known) for argument in value.args)
            edges = next((_plain(one.value, known) for one in value.keywords if one.arg == "buckets"), ())
            yield Series(name, _TYPES[value.func.id], tuple(labels), meaning, tuple(map(float, edges)))


def _plain(node: ast.expr, known: Mapping[str, Any]) -> Any:
    try:
        return known[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)
    except ValueError:
        return None
