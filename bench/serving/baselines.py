"""What our tokens per second are compared with, each in a process of its own.

`bare` drives transformers' continuous batching without any server, with the same users, prompts and cache as the
service gets. `naive` is the first thing that people write: a thread per request, each with its own `generate()`.

usage: python bench/serving/baselines.py bare MODEL WORKLOAD | naive MODEL PORT
"""

import asyncio
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
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


async def bare(path: str, workload: dict[str, Any]) -> dict[str, float]:
    """Tokens per second of `users` that each ask their prompts one after the other, as the clients of a server do."""
    model, tokenizer = load(path)
    gpu = torch.cuda.is_available()
    config = ContinuousBatchingConfig(
        page_size=workload["page_size"],
        num_blocks=None if gpu else workload["num_blocks"],
        max_batch_tokens=None if gpu else 512,
        max_memory_percent=0.8 if gpu else None,
        max_requests_per_batch=workload["max_concurrency"],
        auto_switch_to_flash=False,
    )
    end = model.generation_config.eos_token_id
    generation = GenerationConfig(do_sample=False, eos_token_id=end, max_new_tokens=workload["tokens"])
    manager = model.init_continuous_batching(generation_config=generation, continuous_batching_config=config)
    manager.start()

    async def ask(name: str, prompt: str) -> int:
        turns = [{"role": "system", "content": workload["system"]}, {"role": "user", "content": prompt}]
        ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
        outputs: asyncio.Queue[Any] = asyncio.Queue()
        manager.register_result_handler(name, outputs.put_nowait)
        manager.add_request(ids, request_id=name, streaming=True, eos_token_id=end)
        while not (output := await outputs.get()).is_finished():
            pass
        return len(output.generated_tokens)

    async def user(number: int) -> int:
        prompts = workload["prompts"][number]
        return sum([await ask(f"{number}-{turn}", prompt) for turn, prompt in enumerate(prompts)])

    await ask("warm-up", "Hello")
    started = perf_counter()
    tokens = sum(await asyncio.gather(*(user(number) for number in range(workload["users"]))))
    seconds = perf_counter() - started
    manager.stop(block=True)
    return {"tokens": tokens, "seconds": seconds, "tokens_per_second": tokens / seconds}


def naive(path: str, port: int) -> None:
    """Serve `/chat` with a thread per request, until ended."""
    model, tokenizer = load(path)

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
        print(json.dumps(asyncio.run(bare(sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))))))
    else:
        naive(sys.argv[2], int(sys.argv[3]))
