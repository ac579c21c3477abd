"""What does our service cost, and what does it give? Measured against the least that does the same, in one run.

Tokens: users in a closed loop stream answers to short and long prompts. Our service against bare continuous batching
(no server at all), a naive server (`generate()` in threads) and `transformers serve`, one after the other, each alone
on the machine, in several rounds; a ratio is the median over rounds. Overhead: the echo engine against an empty
BentoML endpoint, in turns; its requests per second with the server on one core. The last line is JSON: ratio_to_bare,
ratio_to_naive, overhead_p50_ms, echo_rps, device.

usage: python bench/serve.py --weights DIR [--users 8,32] [--tokens N] [--turns N] [--rounds N] [--only tokens|overhead]
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
from contextlib import contextmanager
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
ECHO_SECONDS = 6.0
LONG = "Here is a story to keep in mind. " + "The old lighthouse keeper wrote down every ship that passed. " * 20
TOPICS = ("the sea", "a mountain", "bread", "the moon", "a clock", "winter", "a violin", "trains")


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


def prompts(users: int, turns: int) -> list[list[str]]:
    """Each user's questions; every second one is long."""
    return [
        [
            f"{LONG if (user + turn) % 2 else ''}Tell me about {TOPICS[(user + turn) % len(TOPICS)]}, version {user}."
            for turn in range(turns)
        ]
        for user in range(users)
    ]


async def run_users(users: int, turns: int, ask: Callable[[str, Sample], Any]) -> Sample:
    """All users at once, each asking its questions one after the other."""
    sample = Sample()

    async def user(questions: Sequence[str]) -> None:
        for question in questions:
            try:
                await ask(question, sample)
            except (aiohttp.ClientError, ValueError, KeyError):
                sample.errors += 1

    started = time.perf_counter()
    await asyncio.gather(*(user(questions) for questions in prompts(users, turns)))
    sample.seconds = time.perf_counter() - started
    return sample


async def stream_users(url: str, model: str, users: int, turns: int, tokens: int, *, system: bool) -> Sample:
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

        return await run_users(users, turns, ask)


async def naive_users(url: str, users: int, turns: int, tokens: int) -> Sample:
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

        return await run_users(users, turns, ask)


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
                sys.exit(f"{command} did not come up:\n{log.read().decode(errors='replace')[-3000:]}")
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


def measure_ours(weights: str, users: int, turns: int, tokens: int) -> Sample:
    """Our service."""
    options = {
        "max_concurrency": users,
        "max_queue": users,
        "max_prompt_tokens": PROMPT_TOKENS,
        "page_size": PAGE_SIZE,
        "token_timeout_seconds": 600.0,
    }
    with ours("transformers", weights, tokens, options) as url:
        return asyncio.run(stream_users(url, "default", users, turns, tokens, system=False))


def measure_bare(weights: str, users: int, turns: int, tokens: int) -> Sample:
    """Continuous batching alone."""
    workload = {
        "system": SYSTEM,
        "users": users,
        "prompts": prompts(users, turns),
        "tokens": tokens,
        "max_concurrency": users,
        "page_size": PAGE_SIZE,
        "num_blocks": users * ceil((PROMPT_TOKENS + tokens) / PAGE_SIZE),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(workload, file)
        file.flush()
        command = [sys.executable, str(HERE / "baselines.py"), "bare", weights, file.name]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(output.splitlines()[-1])
    return Sample(seconds=result["seconds"], tokens=result["tokens"])


def measure_naive(weights: str, users: int, turns: int, tokens: int) -> Sample:
    """`generate()` behind threads."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with server([sys.executable, str(HERE / "baselines.py"), "naive", weights, str(port)], url, "/", HERE, {}):
        return asyncio.run(naive_users(url, users, turns, tokens))


def measure_transformers_serve(weights: str, users: int, turns: int, tokens: int) -> Sample:
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
        return asyncio.run(stream_users(url, weights, users, turns, tokens, system=True))


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


def percentiles(values: Sequence[float]) -> str:
    """p50/p95/p99 in milliseconds."""
    if len(values) < 2:
        return "-"
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return " / ".join(f"{1000 * cuts[cut - 1]:.0f}" for cut in (50, 95, 99))


ARMS: dict[str, Callable[[str, int, int, int], Sample]] = {
    "ours": measure_ours,
    "bare": measure_bare,
    "naive": measure_naive,
    "transformers serve": measure_transformers_serve,
}


def measure_tokens(arguments: argparse.Namespace) -> dict[str, float]:
    """The table of tokens; gives the ratios of the last line."""
    rates: dict[tuple[int, str], list[float]] = {}
    print(
        f"{'users':>5} {'arm':<19} {'tokens/s':>8} {'errors':>6}  {'TTFT p50/95/99 ms':<22} {'between tokens ms':<20}"
    )
    for round_ in range(arguments.rounds):
        for users in arguments.users:
            # The order turns round, so that no arm always gets the machine as another left it.
            names = list(ARMS) if round_ % 2 == 0 else list(reversed(ARMS))
            for name in names:
                if name == "naive" and users != min(arguments.users):
                    continue  # it gains nothing by more users and would take most of the time
                sample = ARMS[name](arguments.weights, users, arguments.turns, arguments.tokens)
                rates.setdefault((users, name), []).append(sample.rate)
                print(
                    f"{users:>5} {name:<19} {sample.rate:>8.1f} {sample.errors:>6}  "
                    f"{percentiles(sample.first_token):<22} {percentiles(sample.between):<20}",
                    flush=True,
                )
    fewest = min(arguments.users)

    def ratio(users: int, other: str) -> float:
        pairs = zip(rates[users, "ours"], rates[users, other], strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    return {
        "ratio_to_bare": min(ratio(users, "bare") for users in arguments.users),
        "ratio_to_naive": ratio(fewest, "naive"),
        "ratio_to_transformers_serve": min(ratio(users, "transformers serve") for users in arguments.users),
        "tokens_per_second": statistics.median(rates[max(arguments.users), "ours"]),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure the model service.")
    parser.add_argument("--weights", default=os.environ.get("SERINUS_WEIGHTS"), help="a model directory")
    parser.add_argument("--users", default="8,32", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--tokens", default=32, type=int, help="longest answer")
    parser.add_argument("--turns", default=2, type=int, help="questions of each user")
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--only", choices=["tokens", "overhead"])
    arguments = parser.parse_args()
    if arguments.weights is None and arguments.only != "overhead":
        parser.error("give --weights or SERINUS_WEIGHTS: the directory of a model, made by bento_service/weights.py")
    result: dict[str, float | str] = {}
    if arguments.only != "overhead":
        result |= measure_tokens(arguments)
    if arguments.only != "tokens":
        result["overhead_p50_ms"], result["echo_rps"] = measure_overhead()
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in result.items()}
    print(json.dumps({**rounded, "device": device_name()}))


if __name__ == "__main__":
    main()
