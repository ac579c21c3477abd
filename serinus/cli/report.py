"""`serinus report`: one HTML page of a rollout, from the ledger and Prometheus, or from what was recorded of them."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect
from pydantic import ValidationError

from local.errors import LocalError
from local.progress import say
from serinus.cli.kubectl import Context
from serinus.cli.service import Name, Namespace, Service
from serinus.rollout.book import book_name, check, old_book_name
from serinus.rollout.complaints import complaints
from serinus.rollout.report import Prices, Recording, Span, hours_of, of_rollout, within
from serinus.rollout.report_page import page
from serinus.rollout.report_series import Place, queries, spans, step_of

_SECONDS = 30
# What is shown of the time before the first step, and after the last deed of a rollout that is over.
_MARGIN = timedelta(minutes=5)


def command(
    service: Name,
    namespace: Namespace = "serinus",
    context: Context = "",
    release: Annotated[str, typer.Option(help="The id of a canary's release; the newest one by default.")] = "",
    prometheus: Annotated[str, typer.Option(help="The address of Prometheus, such as http://127.0.0.1:9090.")] = "",
    token_file: Annotated[Path | None, typer.Option(help="A file with a bearer token for Prometheus.")] = None,
    currency: Annotated[str, typer.Option(help="The currency of the prices, such as €.")] = "",
    input_price: Annotated[float, typer.Option(min=0, help="What a million tokens read cost.")] = 0.0,
    output_price: Annotated[float, typer.Option(min=0, help="What a million tokens written cost.")] = 0.0,
    data: Annotated[Path | None, typer.Option(help="Show this recording instead of the cluster.")] = None,
    save: Annotated[Path | None, typer.Option(help="Keep the recording in this file, as JSON.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file of the page.")] = Path("report.html"),
) -> None:
    """Write a page about a service's newest rollout. It needs no network to be read."""
    if data is not None:
        recording = _read(data, service)
    else:
        prices = Prices(currency=currency, input_per_million=input_price, output_per_million=output_price)
        recording = _record(service, namespace, context, release, prometheus, token_file, prices)
    if save is not None:
        _write(save, json.dumps(recording.document(), ensure_ascii=False, indent=1))
    _write(output, page(recording))
    say(f"{output}: {len(recording.entries)} decisions, {len(recording.spans)} spans of time")


def _read(path: Path, service: str) -> Recording:
    try:
        recording = Recording.model_validate_json(path.read_bytes())
    except OSError as error:
        raise LocalError(f"the recording can't be read: {error}", remedy="Name a file with --data.") from None
    except ValidationError as error:
        told = "; ".join(complaints(Recording, error))
        raise LocalError(f"{path} is no recording: {told}", remedy="serinus report --save makes one.") from None
    if recording.service != service:
        raise LocalError(f"{path} is of the service {recording.service}, not of {service}", remedy="Name that one.")
    return recording


def _record(
    service: str,
    namespace: str,
    context: str,
    release: str,
    prometheus: str,
    token_file: Path | None,
    prices: Prices,
) -> Recording:
    cluster = Service(context, namespace, service)
    book, old = (cluster.config_map(name(service)) or {} for name in (book_name, old_book_name))
    checked = check(book.get("data"), old.get("data"))
    canary, entries = of_rollout(checked.entries, release)
    if not entries:
        known = sorted({entry.deed.release for entry in checked.entries if entry.deed.release})
        raise LocalError(
            f"the ledger of {namespace}/{service} has nothing about {release or 'any release'}",
            remedy=f"Known are: {', '.join(known) or 'none; the first step of a rollout writes the first entry'}.",
        )
    now = datetime.now(UTC)
    spec = (cluster.release() or {}).get("spec", {})
    stable = str(spec.get("stable", ""))
    seen: list[Span] = []
    if prometheus:
        place = Place(namespace, service, canary, "" if stable == canary else stable)
        first, last = entries[0].deed, entries[-1].deed
        end = now if spec.get("canary") == canary and last.new > 0 else min(last.at + _MARGIN, now)
        step = step_of(first.at - _MARGIN, end)
        # One span ends with the first step: what another canary did before it is told apart.
        begin = first.at - math.ceil(_MARGIN.total_seconds() / step) * timedelta(seconds=step)
        counted = spans(_ask(prometheus, token_file, place, begin, end, step))
        seen = within(counted, hours_of(entries, checked.entries), step)
    else:
        say("Without --prometheus the page has decisions only.")
    return Recording(
        service=service,
        canary=canary,
        stable=stable,
        taken_at=now,
        spans=tuple(seen),
        entries=tuple(entries),
        breaks=tuple(checked.breaks),
        prices=prices,
    )


def _ask(
    address: str, token_file: Path | None, place: Place, begin: datetime, end: datetime, step: int
) -> dict[tuple[str, str], object]:
    remedy = "Say with --prometheus where it listens; `kubectl port-forward` reaches one in the cluster."
    try:
        headers = {"Authorization": f"Bearer {token_file.read_text().strip()}"} if token_file else {}
        with PrometheusConnect(address.rstrip("/"), headers=headers, timeout=_SECONDS, retry=1) as client:
            return {
                key: client.custom_query_range(query, begin, end, f"{step}s")
                for key, query in queries(place, step).items()
            }
    except (PrometheusApiClientException, OSError, ValueError, KeyError) as error:
        raise LocalError(f"Prometheus at {address} gave no answer: {error}", remedy=remedy) from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LocalError(f"{path} can't be written: {error.strerror}", remedy="Name another file.") from None
