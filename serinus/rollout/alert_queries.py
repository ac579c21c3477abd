"""PromQL that counts what rises, and does not overlook what is born high.

A counter with a label for its outcome first appears with the first such outcome. Five failures between two scrapes make
a series that is born at 5, and for `rate` and `increase` nothing has happened. Here such a series counts with its whole
value: it is younger than the window, so everything it has seen lies in the window.
"""

import re
from dataclasses import dataclass

_FAILED = "engine_error|timeout"
LOUD = "0.8"
"""The score from which on an answer counts as offensive; below it the scorer errs too often. An edge of its buckets."""


@dataclass(frozen=True, slots=True)
class Arms:
    """Where the series of the canary and of the stable release are found.

    `gateway_canary` and `gateway_stable` are values of the gateway's label `service`; `release` is the canary's id,
    `pods` the names' beginning of its pods. `weight` is the percentage that the stack declares.
    """

    namespace: str
    release: str
    pods: str
    gateway_canary: str
    gateway_stable: str
    weight: int


def gateway_label(namespace: str, ingress: str, backend: str, port: str, *, canary: bool = False) -> str:
    """Return what Traefik calls the service behind an Ingress in its metrics.

    The canary is named after the stable Ingress and its backend too: it shares their router.
    """
    name = "-".join((namespace, ingress, backend, port, *(["canary"] if canary else [])))
    return f"{re.sub(r'[^0-9A-Za-z]+', '-', name)}@kubernetesingressnginx"


def selector(metric: str, **labels: str) -> str:
    """Return a selector; a value that begins with `~` is a regular expression."""
    matchers = [
        f'{key}=~"{value[1:]}"' if value.startswith("~") else f'{key}="{value}"' for key, value in labels.items()
    ]
    return f"{metric}{{{','.join(matchers)}}}"


def risen(series: str, window: int, by: str = "") -> str:
    """How much the counters rose in the last `window` seconds, with those that were born in it; 0 where none is.

    With `by`, one value for each of its values, and none where there is nothing. A series counts as born in the
    window only if its target was read at the window's start: else Prometheus itself is new, and the series is old.
    """
    born = f"{series} unless {series} offset {window}s and on (job, instance) up offset {window}s == 1"
    inner = f"({born}) or increase({series}[{window}s])"
    return f"sum by ({by}) ({inner})" if by else f"(sum({inner}) or vector(0))"


def gateway_requests(arm: str, window: int, code: str = "") -> str:
    """The requests that the gateway answered for one arm; `code` is a regular expression."""
    labels = {"service": arm, **({"code": f"~{code}"} if code else {})}
    return risen(selector("traefik_service_requests_total", **labels), window)


def gateway_quantile(arm: str, quantile: float, window: int) -> str:
    """The seconds within which this share of whole answers was done. Exact where it equals an edge of a bucket."""
    buckets = selector("traefik_service_request_duration_seconds_bucket", service=arm)
    return f"histogram_quantile({quantile}, {risen(buckets, window, by='le')})"


def answers(arms: Arms, window: int, outcome: str = "") -> str:
    """The requests that the release's own pods count; `outcome` is a regular expression."""
    labels = {"namespace": arms.namespace, "release": arms.release, **({"outcome": f"~{outcome}"} if outcome else {})}
    return risen(selector("llm_requests_total", **labels), window)


def broken_answers(arms: Arms, window: int) -> str:
    """The answers that the engine failed to give, or to end."""
    return answers(arms, window, _FAILED)


def signalled(arms: Arms, signal: str, window: int) -> str:
    """The whole answers that show a sign of trouble, such as `empty`."""
    series = selector("llm_answer_signals_total", namespace=arms.namespace, release=arms.release, signal=signal)
    return risen(series, window)


def scored(arms: Arms, window: int, *, quiet: bool = False) -> str:
    """The answers that the scorer has looked at; with `quiet`, those below LOUD."""
    metric = "llm_output_offensive_score"
    labels = {"namespace": arms.namespace, "release": arms.release}
    series = selector(f"{metric}_bucket", **labels, le=LOUD) if quiet else selector(f"{metric}_count", **labels)
    return risen(series, window)


def tokens(arms: Arms, direction: str, window: int) -> str:
    """The tokens read (`input`) or written (`output`)."""
    return risen(selector("llm_tokens_total", namespace=arms.namespace, release=arms.release, type=direction), window)


def tokens_by_type(namespace: str, release: str, window: int) -> str:
    """The tokens of a release's pods by `type`, in the last `window` seconds; nothing unless they are seen now."""
    series = selector("llm_tokens_total", namespace=namespace, release=release)
    return f"({risen(series, window, by='type')}) and on (type) count by (type) ({series})"


def gpu_memory(arms: Arms) -> str:
    """The fullest GPU's share of memory in use, as NVIDIA's exporter tells it."""
    used, free = (
        selector(f"DCGM_FI_DEV_FB_{part}", namespace=arms.namespace, pod=f"~{arms.pods}-.+")
        for part in ("USED", "FREE")
    )
    return f"max({used} / ({used} + {free}))"


def silent(arms: Arms) -> str:
    """Has a value where the gateway or every pod of the canary tells nothing."""
    pods = selector("llm_build_info", namespace=arms.namespace, release=arms.release)
    return f"absent(traefik_config_last_reload_success) or absent({pods})"
