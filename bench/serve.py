"""What does our service cost, and what does it give? Measured against the least that does the same, in one run.

Tokens: users stream answers to short and long questions, all at once, no question twice. Our service against bare
continuous batching (no server at all), a naive server (`generate()` in threads, at the better of two thread settings)
and `transformers serve`. All are up the whole time and asked by turns, so that what else the machine does falls on
each alike; a ratio is the median of its rounds. Overhead: the echo engine against an empty BentoML endpoint, in turns;
its requests per second with the server on one core. The last line is JSON: ratio_to_bare, ratio_to_naive,
overhead_p50_ms, echo_rps, device, and what our users waited: ttft_ms and between_tokens_ms, each p50, p95, p99.

usage: python bench/serve.py --weights DIR [--users 8,32] [--tokens N] [--rounds N] [--only tokens|overhead]
Run with the Python of the service's own environment (bento_service/requirements-dev.txt).
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).parent / "serving"
SERVICE = Path(__file__).parents[1] / "bento_service"
SYSTEM = "You are a helpful AI assistant."
PAGE_SIZE = 64
PROMPT_TOKENS = 512
START_SECONDS = 300
ECHO_SECONDS = 3.0
LONG = "Here is a story to keep in mind. " + "The old lighthouse keeper wrote down every ship that passed. " * 20
TOPICS = ("the sea", "a mountain", "bread", "the moon", "a clock", "winter", "a violin", "trains")


class ServerDownError(Exception):
    """A server did not come up; the message has its log."""


@dataclass
class Sample:
    """What the users of one arm saw. Times in seconds."""

    seconds: float = 0.0
    tokens: int = 0
    first_token: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    errors: int = 0

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return self.tokens / self.seconds


Arm = Callable[[int, int], Sample]
"""Asks the questions of so many users in such a round."""


def prompts(users: int, round_: int) -> list[str]:
    """Each user's question; every second one is long. Each begins with its own number, or one could be answered from
    what is cached of another."""
    return [
        f"{round_}-{user}. {LONG if (user + round_) % 2 else ''}Tell me about {TOPICS[(user + round_) % len(TOPICS)]}."
        for user in range(users)
    ]


async def run_users(users: int, round_: int, ask: Callable[[str, Sample], Any]) -> Sample:
    """All users at once."""
    sample = Sample()

    async def user(question: str) -> None:
        try:
            await ask(question, sample)
        except (aiohttp.ClientError, ValueError, KeyError):
            sample.errors += 1

    started = time.perf_counter()
    await asyncio.gather(*(user(question) for question in prompts(users, round_)))
    sample.seconds = time.perf_counter() - started
    return sample


async def stream_users(url: str, model: str, users: int, round_: int, tokens: int, *, system: bool) -> Sample:
    """Users of an OpenAI-compatible server."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as http:

        async def ask(question: str, sample: Sample) -> None:
            messages = [{"role": "system", "content": SYSTEM}] if system else []
            body = {
                "model": model,
                "messages": [*messages, {"role": "user", "content": question}],
                "max_tokens": tokens,
                "temperature": 0.0,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
            asked = last = time.perf_counter()
            counted, reported = 0, None
            async with http.post(f"{url}/v1/chat/completions", json=body) as response:
                response.raise_for_status()
                async for line in response.content:
                    if not line.startswith(b"data: {"):
                        continue
                    event = json.loads(line[6:])
                    if "error" in event:
                        raise ValueError(event["error"])
                    reported = (event.get("usage") or {}).get("completion_tokens", reported)
                    if event["choices"] and event["choices"][0]["delta"].get("content"):
                        now = time.perf_counter()
                        if counted:
                            sample.between.append(now - last)
                        else:
                            sample.first_token.append(now - asked)
                        counted += 1
                        last = now
            sample.tokens += counted if reported is None else reported

        return await run_users(users, round_, ask)


async def naive_users(url: str, users: int, round_: int, tokens: int) -> Sample:
    """Users of the naive server, which sends no tokens before the last."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as http:

        async def ask(question: str, sample: Sample) -> None:
            asked = time.perf_counter()
            body = {"system": SYSTEM, "prompt": question, "max_tokens": tokens}
            async with http.post(f"{url}/chat", json=body) as response:
                response.raise_for_status()
                sample.tokens += (await response.json(content_type=None))["tokens"]
                sample.first_token.append(time.perf_counter() - asked)

        return await run_users(users, round_, ask)


async def load_echo(url: str, users: int, seconds: float) -> list[float]:
    """Latencies in seconds of users who ask `/chat` again and again."""
    latencies: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        end = time.perf_counter() + seconds

        async def user() -> None:
            while (asked := time.perf_counter()) < end:
                async with http.post(f"{url}/chat", json={"prompt": "hello there my friend"}) as response:
                    await response.read()
                    response.raise_for_status()
                latencies.append(time.perf_counter() - asked)

        await asyncio.gather(*(user() for _ in range(users)))
    return latencies


@contextmanager
def server(
    command: Sequence[str], url: str, probe: str, cwd: Path, env: Mapping[str, str], cores: set[int] | None = None
) -> Iterator[None]:
    """A server process, from ready to ended."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **env}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        if cores is not None:
            os.sched_setaffinity(process.pid, cores)
        try:
            if not asyncio.run(_comes_up(process, url + probe)):
                log.seek(0)
                raise ServerDownError(f"{command} did not come up:\n{log.read().decode(errors='replace')[-3000:]}")
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


async def _comes_up(process: subprocess.Popen[bytes], url: str) -> bool:
    end = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
        while time.monotonic() < end and process.poll() is None:
            try:
                async with http.get(url) as response:
                    if response.status == 200:
                        return True
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.2)
    return False


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def bento(target: str, cwd: Path, env: Mapping[str, str], cores: set[int] | None = None) -> Iterator[str]:
    """A BentoML service; gives its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "bentoml", "serve", target, "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryDirectory() as home:
        environment = {"BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True", **env}
        with server(command, url, "/readyz", cwd, environment, cores):
            yield url


@contextmanager
def ours(
    engine: str, path: str, tokens: int, options: Mapping[str, Any], cores: set[int] | None = None
) -> Iterator[str]:
    """Our service with such a release; gives its URL."""
    document = {
        "id": "bench-00000000",
        "image": "none",
        "engine": engine,
        "model": {"id": "bench", "path": path, "revision": "bench"},
        "prompt": {"system": SYSTEM},
        "sampling": {"max_tokens": tokens},
        "options": options,
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "release.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        env = {"SERINUS_RELEASE_FILE": str(file), "SERINUS_DEADLINE_SECONDS": "3600"}
        # The audit log is written as in a pod, to a file since nobody reads it here.
        with bento("service:ChatService", SERVICE, {**env, "SERINUS_AUDIT_FILE": f"{folder}/audit"}, cores) as url:
            yield url


@contextmanager
def up_ours(weights: str, users: int, tokens: int) -> Iterator[Arm]:
    """Our service."""
    options = {
        "max_concurrency": users,
        "max_queue": users,
        "max_prompt_tokens": PROMPT_TOKENS,
        "token_timeout_seconds": 600.0,
    }
    with ours("transformers", weights, tokens, options) as url:
        yield lambda users, round_: asyncio.run(stream_users(url, "default", users, round_, tokens, system=False))


@contextmanager
def up_bare(weights: str, users: int, tokens: int) -> Iterator[Arm]:
    """Continuous batching alone: a process that takes a list of questions a line and answers with what it took."""
    setup = {
        "system": SYSTEM,
        "tokens": tokens,
        "max_concurrency": users,
        "page_size": PAGE_SIZE,
        "num_blocks": users * ceil((PROMPT_TOKENS + tokens) / PAGE_SIZE),
    }
    command = [sys.executable, str(HERE / "baselines.py"), "bare", weights, json.dumps(setup)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        questions, results = process.stdin, process.stdout

        def ask(users: int, round_: int) -> Sample:
            questions.write(json.dumps(prompts(users, round_)) + "\n")
            questions.flush()
            result = json.loads(results.readline())
            return Sample(seconds=result["seconds"], tokens=result["tokens"])

        results.readline()  # it is warm
        yield ask
        questions.close()


@contextmanager
def up_naive(weights: str, users: int, tokens: int) -> Iterator[Arm]:
    """`generate()` behind threads."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(HERE / "baselines.py"), "naive", weights, str(port), str(users)]
    with server(command, url, "/", HERE, {}):
        yield lambda users, round_: asyncio.run(naive_users(url, users, round_, tokens))


@contextmanager
def up_transformers_serve(weights: str, users: int, tokens: int) -> Iterator[Arm]:
    """The server that comes with transformers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(str(Path(sys.executable).with_name("transformers")), "serve", weights, "--continuous-batching"),
        *("--host", "127.0.0.1", "--port", str(port), "--attn-implementation", "sdpa"),
    ]
    if not device_is_gpu():
        blocks = users * ceil((PROMPT_TOKENS + tokens) / PAGE_SIZE)
        command += ["--dtype", "float32", "--cb-block-size", str(PAGE_SIZE), "--cb-num-blocks", str(blocks)]
        command += ["--cb-max-batch-tokens", "512"]
    env = {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    with server(command, url, "/health", HERE, env):
        asyncio.run(stream_users(url, weights, 1, -1, 4, system=True))  # it loads the model for its first user
        yield lambda users, round_: asyncio.run(stream_users(url, weights, users, round_, tokens, system=True))


def measure_overhead() -> tuple[float, float]:
    """Milliseconds that we add at the median to an empty endpoint, and requests per second on one core."""
    cores = sorted(os.sched_getaffinity(0))
    core = {cores[0]} if len(cores) > 1 else None
    if core is not None:
        os.sched_setaffinity(0, set(cores[1:]))  # the users get the other cores
    added, rates = [], []
    with ours("echo", "/none", 64, {}, core) as echo, bento("bare_service:Bare", HERE, {}, core) as empty:
        for _ in range(3):
            medians = [statistics.median(asyncio.run(load_echo(url, 1, ECHO_SECONDS / 2))) for url in (echo, empty)]
            added.append(1000 * (medians[0] - medians[1]))
            rates.append(len(asyncio.run(load_echo(echo, 16, ECHO_SECONDS))) / ECHO_SECONDS)
    os.sched_setaffinity(0, set(cores))
    return statistics.median(added), statistics.median(rates)


def device_is_gpu() -> bool:
    """Whether torch sees a GPU; asked in a process of its own, so that this one never holds its memory."""
    code = "import torch, sys; sys.exit(0 if torch.cuda.is_available() else 1)"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def device_name() -> str:
    """What the tokens are made on."""
    if device_is_gpu():
        code = "import torch; print(torch.cuda.get_device_name())"
        return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    return f"cpu, {len(os.sched_getaffinity(0))} cores"


def percentiles(values: Sequence[float]) -> list[int]:
    """p50, p95, p99 in milliseconds."""
    if len(values) < 2:
        return []
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return [round(1000 * cuts[cut - 1]) for cut in (50, 95, 99)]


OPTIONAL = "transformers serve"
ARMS: dict[str, Callable[[str, int, int], AbstractContextManager[Arm]]] = {
    "ours": up_ours,
    "bare": up_bare,
    "naive": up_naive,
    OPTIONAL: up_transformers_serve,
}
FOR_MANY = ("ours", "bare")  # the others gain nothing by more users, and would take most of the time


def measure_tokens(arguments: argparse.Namespace) -> dict[str, object]:
    """The table of tokens; gives its part of the last line."""
    samples: dict[tuple[int, str], list[Sample]] = {}
    print(
        f"{'users':>5} {'arm':<19} {'tokens/s':>8} {'errors':>6}  {'TTFT p50/95/99 ms':<22} {'between tokens ms':<20}"
    )
    fewest = min(arguments.users)
    with ExitStack() as stack:
        started: dict[str, Arm] = {}
        for name, up in ARMS.items():
            most = max(arguments.users) if name in FOR_MANY else fewest
            try:
                started[name] = stack.enter_context(up(arguments.weights, most, arguments.tokens))
            except ServerDownError as down:
                if name != OPTIONAL:
                    raise
                print(f"{name} is left out: {down}", file=sys.stderr)
        for round_ in range(arguments.rounds):
            for users in arguments.users:
                names = [name for name in started if users == fewest or name in FOR_MANY]
                # The order turns round, so that no arm always gets the machine as another left it.
                for name in names if round_ % 2 == 0 else reversed(names):
                    sample = started[name](users, round_)
                    samples.setdefault((users, name), []).append(sample)
                    waits = ["/".join(map(str, percentiles(values))) for values in (sample.first_token, sample.between)]
                    print(
                        f"{users:>5} {name:<19} {sample.rate:>8.1f} {sample.errors:>6}  {waits[0]:<22} {waits[1]:<20}",
                        flush=True,
                    )

    def ratio(users: int, other: str) -> float:
        pairs = zip(samples[users, "ours"], samples[users, other], strict=True)
        return statistics.median(mine.rate / theirs.rate for mine, theirs in pairs)

    to_bare = {str(users): ratio(users, "bare") for users in arguments.users}
    mine = {users: samples[users, "ours"] for users in arguments.users}
    return {
        "ratio_to_bare": min(to_bare.values()),
        "ratio_to_bare_by_users": {users: round(value, 3) for users, value in to_bare.items()},
        "ratio_to_naive": ratio(fewest, "naive"),
        "ratio_to_transformers_serve": ratio(fewest, OPTIONAL) if (fewest, OPTIONAL) in samples else None,
        "tokens_per_second": {
            str(users): round(statistics.median(s.rate for s in all_), 1) for users, all_ in mine.items()
        },
        "errors": sum(sample.errors for all_ in samples.values() for sample in all_),
        "ttft_ms": {str(users): percentiles([t for s in all_ for t in s.first_token]) for users, all_ in mine.items()},
        "between_tokens_ms": {
            str(users): percentiles([t for s in all_ for t in s.between]) for users, all_ in mine.items()
        },
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure the model service.")
    parser.add_argument("--weights", default=os.environ.get("SERINUS_WEIGHTS"), help="a model directory")
    parser.add_argument("--users", default="8,32", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--tokens", default=128, type=int, help="longest answer")
    parser.add_argument("--rounds", default=2, type=int)
    parser.add_argument("--only", choices=["tokens", "overhead"])
    arguments = parser.parse_args()
    if arguments.weights is None and arguments.only != "overhead":
        parser.error("give --weights or SERINUS_WEIGHTS: the directory of a model, made by bento_service/weights.py")
    result: dict[str, object] = {}
    if arguments.only != "overhead":
        result |= measure_tokens(arguments)
    if arguments.only != "tokens":
        result["overhead_p50_ms"], result["echo_rps"] = measure_overhead()
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in result.items()}
    print(json.dumps({**rounded, "device": device_name()}))


if __name__ == "__main__":
    main()
