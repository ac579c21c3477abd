"""What our tokens per second are compared with, each in a process of its own.

`bare` drives transformers' continuous batching without any server, with the same users, questions and cache as the
service gets: each line of its input is a JSON list of questions, asked all at once. `naive` is the first thing that
people write: a thread per request, each with its own `generate()`; torch's threads are set to what USERS at once like
best, since nobody would leave the worse setting.

usage: python bench/serving/baselines.py bare MODEL SETUP | naive MODEL PORT USERS
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from time import perf_counter
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the service: the comparison is of servers, not of threads

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, ContinuousBatchingConfig, GenerationConfig
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()


def load(path: str) -> tuple[Any, Any]:
    """Model and tokenizer, in the precision and place the service would choose."""
    gpu = torch.cuda.is_available()
    dtype = "auto" if gpu else "float32"
    model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, attn_implementation="sdpa")
    return model.to("cuda") if gpu else model, AutoTokenizer.from_pretrained(path)


async def bare(path: str, setup: dict[str, Any]) -> None:
    """Answer each line's questions; print the tokens and the seconds that all took."""
    model, tokenizer = load(path)
    gpu = torch.cuda.is_available()
    config = ContinuousBatchingConfig(
        page_size=setup["page_size"],
        num_blocks=None if gpu else setup["num_blocks"],
        max_batch_tokens=None if gpu else 512,
        max_memory_percent=0.8 if gpu else None,
        max_requests_per_batch=setup["max_concurrency"],
        auto_switch_to_flash=False,
    )
    end = model.generation_config.eos_token_id
    generation = GenerationConfig(do_sample=False, eos_token_id=end, max_new_tokens=setup["tokens"])
    manager = model.init_continuous_batching(generation_config=generation, continuous_batching_config=config)
    manager.start()

    async def ask(name: str, prompt: str) -> int:
        turns = [{"role": "system", "content": setup["system"]}, {"role": "user", "content": prompt}]
        ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
        outputs: asyncio.Queue[Any] = asyncio.Queue()
        manager.register_result_handler(name, outputs.put_nowait)
        manager.add_request(ids, request_id=name, streaming=True, eos_token_id=end)
        while not (output := await outputs.get()).is_finished():
            pass
        return len(output.generated_tokens)

    async def ask_all(questions: list[str], names: Iterator[int]) -> dict[str, float]:
        started = perf_counter()
        tokens = sum(await asyncio.gather(*(ask(f"r{next(names)}", question) for question in questions)))
        return {"tokens": tokens, "seconds": perf_counter() - started}

    names = count()
    print(json.dumps(await ask_all(["Hello"], names)), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await ask_all(json.loads(line), names)), flush=True)
    manager.stop(block=True)


def best_threads(model: Any, users: int) -> int:  # noqa: ANN401 - no typed model
    """How many of torch's threads each of so many `generate()` at once should have: one, or the default."""

    def seconds(threads: int) -> float:
        torch.set_num_threads(threads)
        inputs = torch.ones(1, 32, dtype=torch.long, device=model.device)

        def one(_: int) -> None:
            torch.set_num_threads(threads)  # each thread has its own setting
            with torch.no_grad():
                model.generate(inputs, max_new_tokens=8, min_new_tokens=8, do_sample=False)

        with ThreadPoolExecutor(users) as pool:
            started = perf_counter()
            list(pool.map(one, range(users)))
        return perf_counter() - started

    choices = sorted({1, torch.get_num_threads()})
    seconds(choices[-1])  # the first answer of a process is slow whatever the setting
    return min(choices, key=seconds)


def naive(path: str, port: int, users: int) -> None:
    """Serve `/chat` with a thread per request, until ended."""
    model, tokenizer = load(path)
    threads = best_threads(model, users)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            turns = [{"role": "system", "content": asked["system"]}, {"role": "user", "content": asked["prompt"]}]
            inputs = tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
            ).to(model.device)
            torch.set_num_threads(threads)
            with torch.no_grad():
                output = model.generate(**inputs, max_new_tokens=asked["max_tokens"], do_sample=False)
            made = output[0][inputs["input_ids"].shape[1] :]
            self._answer({"response": tokenizer.decode(made, skip_special_tokens=True), "tokens": len(made)})

        def log_message(self, *_: object) -> None:
            """Nothing: the client measures."""

        def _answer(self, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        asyncio.run(bare(sys.argv[2], json.loads(sys.argv[3])))
    else:
        naive(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
