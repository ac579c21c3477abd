"""The stand-in's loop."""

import json
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from .api import SECONDS, Api
from .gathered import Checker, Gathered, write

_PAUSE = 1.0


def main(server: str, pki: str, folder: str, programs: str, prometheus: str, alertmanager: str) -> None:
    """Hand over what is declared, each second, for ever."""
    home = Path(folder)
    api, check = Api(server, Path(pki)), Checker(Path(programs), home)
    handed: dict[str, str] = {}
    complained: list[str] = []
    while True:
        now: Gathered | None = None
        try:
            now = Gathered(api, check)
            said = now.left_out
        except OSError as error:
            # Without an answer everything stays as it is.
            said = [f"the API server: {error}"]
        if said != complained:
            print("\n".join(said) or "nothing is left out any more", flush=True)
            complained = said
        if now is not None:
            # Prometheus sees by itself that its targets are others.
            _hand_over(home / "targets.json", now.targets, handed, lambda: True)
            _hand_over(home / "rules.json", now.rules, handed, lambda: _reload(prometheus))
            _hand_over(home / "alertmanager.json", now.config, handed, lambda: _reload(alertmanager))
        time.sleep(_PAUSE)


def _hand_over(file: Path, content: object, handed: dict[str, str], tell: Callable[[], bool]) -> None:
    """Write what is new to the file and tell its reader, until it takes it."""
    text = json.dumps(content)
    if handed.get(file.name) != text:
        write(file, text)
        if tell():
            handed[file.name] = text


def _reload(url: str) -> bool:
    request = urllib.request.Request(f"{url}/-/reload", method="POST")  # noqa: S310 (our own programs)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            return True
    except OSError as error:
        print(f"{url} does not take its new configuration yet: {error}", flush=True)
        return False


if __name__ == "__main__":
    main(*sys.argv[1:])
