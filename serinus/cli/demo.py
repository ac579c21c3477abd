"""`serinus demo`: a whole canary release as a person would do it, with everything real.

It drives `pulumi` as anybody can, sends real prompts through the gateway all the while, and counts what users got.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.table import Table

from local import cluster, engine, gateway, lock, places
from local.errors import LocalError
from local.progress import console, duration, say, step
from local.traffic import Answer, Client, background
from serinus.cli.stack import Result, Stack

LADDER = (5, 20, 50, 100)
BACKGROUND_PER_SECOND = 2.0
CONCURRENCY = 8
PROMPTS = (
    "What is the capital of France?",
    "Name a yellow bird.",
    "What do canaries eat?",
    "Say hello in Spanish.",
    "What is two plus two?",
    "Which planet is the largest?",
    "Give me a word that rhymes with light.",
    "What colour is the sky?",
)
FIGURES = places.BUILD / "demo.json"
LOG = places.BUILD / "logs" / "demo-pulumi.log"


@dataclass(frozen=True)
class Step:
    """One rung as it was climbed: the weight asked for, what users saw (shares in percent), seconds of `pulumi up`."""

    weight: int
    observed_share: float
    requests: int
    canary_requests: int
    users: int
    canary_users: int
    failed: int
    up_seconds: float


def command(
    stack: Annotated[str, typer.Option(help="The stack to use; its settings are in Pulumi.<stack>.yaml.")] = "dev",
    gateway_url: Annotated[str, typer.Option("--gateway", help="The gateway's URL, on a cluster of your own.")] = "",
    users: Annotated[int, typer.Option(min=20, max=10_000, help="How many users ask at each step.")] = 100,
) -> None:
    """Release a new model version step by step on a real cluster, and show what users saw.

    Brings the local cluster up where the stack's settings name it, deploys a stable and a canary release, raises the
    weight 5, 20, 50, 100 by `pulumi up`, and shows an unsafe jump refused. The figures go to build/demo.json.
    """
    started = time.monotonic()
    if gateway_url:
        _run(Stack(places.ROOT, stack, {}, stack, LOG), gateway_url, users, started)
        return
    cluster.require_root()
    with lock.held("serinus demo"):
        url = cluster.up().gateway
        _run(Stack(places.ROOT, stack, engine.environment(), stack, LOG), url, users, started)


def _run(stack: Stack, url: str, users: int, started: float) -> None:
    _require(stack.select(), "choosing the stack")
    settings = _settings(stack)
    client = Client(url, settings["host"], connections=CONCURRENCY + 4)
    say(f"\nReleasing {settings['service']}: stable {settings['stable']}, canary {settings['canary']}, by {url}\n")

    def arrive(weight: int) -> None:
        # Only the local gateway can be asked what it routes by.
        if url == places.network().gateway:
            gateway.wait_for_weight(settings["namespace"], settings["service"], weight)

    with step("pulumi up: both releases, canary at 5 %", "the model loads twice; 1 min"):
        first = _move(stack, LADDER[0])
        arrive(LADDER[0])
    steps: list[Step] = []
    refusal: list[str] = []
    aside: list[Answer] = []
    for weight in LADDER:
        up_seconds = first.seconds
        if weight != LADDER[0]:
            with background(client, PROMPTS, BACKGROUND_PER_SECOND) as load, step(f"pulumi up: weight {weight}"):
                up_seconds = _move(stack, weight).seconds
                arrive(weight)
            aside += load.answers
        with step(f"{users} users ask at weight {weight}"):
            answers = client.ask_all([f"user-{n:04d}" for n in range(users)], PROMPTS, CONCURRENCY)
        steps.append(_observe(weight, answers, settings["canary"], up_seconds))
        _show_answers(answers)
        if weight == LADDER[0]:
            refusal = _try_unsafe_jump(stack, weight)

    failed = sum(answer.failed for answer in aside) + sum(done.failed for done in steps)
    seconds = time.monotonic() - started
    _print_table(steps)
    say(f"While the weight moved, {len(aside)} more requests were sent; failed in all: {failed}.")
    say(f"The jump 5 → 80 was {'refused' if refusal else 'NOT refused'}. The demo took {duration(seconds)}.")
    FIGURES.write_text(
        json.dumps(
            {
                "steps": [asdict(done) for done in steps],
                "jump_refused": bool(refusal),
                "failed": failed,
                "background_requests": len(aside),
                "seconds": round(seconds, 1),
            },
            indent=1,
        )
    )
    say(f"Figures: {FIGURES.relative_to(places.ROOT)}\n")
    _farewell(url, settings["host"], settings["namespace"])
    if failed or not refusal:
        raise typer.Exit(1)


def _move(stack: Stack, weight: int) -> Result:
    _require(stack.set("weight", str(weight)), f"setting the weight to {weight}")
    return _require(stack.up(), f"`pulumi up` at weight {weight}")


def _try_unsafe_jump(stack: Stack, back_to: int) -> list[str]:
    """Ask for 80 where 20 is the next rung; the lines of the refusal, none where it went through."""
    with step("an unsafe jump: weight 80, in a preview"):
        _require(stack.set("weight", "80"), "setting the weight to 80")
        tried = stack.preview()
        _require(stack.set("weight", str(back_to)), "taking the jump back")
    if tried.ok:
        return []
    refusal = tried.lines_about("may not rise")
    for line in refusal:
        console.print(f"    {line}", style="yellow", markup=False)
    return refusal


def _observe(weight: int, answers: Sequence[Answer], canary: str, up_seconds: float) -> Step:
    on_canary = [answer for answer in answers if answer.release.startswith(f"{canary}-")]
    return Step(
        weight=weight,
        observed_share=round(100 * len(on_canary) / len(answers), 2),
        requests=len(answers),
        canary_requests=len(on_canary),
        users=len({answer.user for answer in answers}),
        canary_users=len({answer.user for answer in on_canary}),
        failed=sum(answer.failed for answer in answers),
        up_seconds=round(up_seconds, 1),
    )


def _show_answers(answers: Sequence[Answer]) -> None:
    """One answer of each release, so that one sees who speaks; and the first failure, if there is one."""
    first = {answer.release: answer for answer in reversed(answers) if not answer.failed}
    for release in sorted(first):
        text = " ".join(first[release].text.split())
        console.print(f"    {release}: {text[:90]}", style="dim", markup=False)
    for answer in [answer for answer in answers if answer.failed][:1]:
        console.print(f"    failed: status {answer.status}, {answer.text[:200]}", style="red", markup=False)


def _print_table(steps: Sequence[Step]) -> None:
    table = Table("weight", "observed", "requests stable", "canary", "users stable", "canary", "failed", "up", box=None)
    for column in table.columns:
        column.justify = "right"
    for done in steps:
        table.add_row(
            f"{done.weight} %",
            f"{done.observed_share:.1f} %",
            str(done.requests - done.canary_requests),
            str(done.canary_requests),
            str(done.users - done.canary_users),
            str(done.canary_users),
            str(done.failed),
            f"{done.up_seconds:.1f} s",
        )
    say()
    console.print(table)
    say()


def _farewell(url: str, host: str, namespace: str) -> None:
    say("The cluster stays up. Ask it something:")
    say(f"""  curl {url}/chat -H 'Host: {host}' -H 'Content-Type: application/json' -d '{{"prompt": "Hello!"}}'""")
    say("Look around:")
    say('  eval "$(.venv/bin/serinus cluster env)"')
    say(f"  kubectl -n {namespace} get deployments,pods,ingresses")
    say("Move the weight yourself:")
    say("  pulumi config set serinus:weight 0 --stack dev")
    say("  pulumi up --stack dev --policy-pack policies --policy-pack-config policies/dev.json")
    say("Stop it: make down")


def _settings(stack: Stack) -> dict[str, str]:
    """The settings that the demo needs, as text. Raises LocalError naming the first one missing."""
    answer = _require(stack.pulumi("config", "--json", "--stack", stack.name), "reading the stack's settings")
    values = {
        key.removeprefix("serinus:"): str(entry.get("value", "")) for key, entry in json.loads(answer.output).items()
    }
    for key in ("service", "namespace", "host", "stable", "canary"):
        if not values.get(key):
            raise LocalError(
                f"Pulumi.{stack.name}.yaml has no serinus:{key}; the demo needs it",
                remedy=f"pulumi config set serinus:{key} … --stack {stack.name}",
            )
    return values


def _require(result: Result, what: str) -> Result:
    if not result.ok:
        locked = "currently locked" in result.output
        # The engine can't know whether the update that took the lock still runs; a person can.
        remedy = "if no other update runs, end the killed one: pulumi cancel, then try again" if locked else ""
        raise LocalError(f"{what} failed with exit code {result.code}", log=LOG, remedy=remedy)
    return result
