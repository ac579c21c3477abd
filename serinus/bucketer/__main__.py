"""`python -m serinus.bucketer CONFIG`: serve until told to stop. Exit code 1 where the configuration can't be used."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from serinus.bucketer.config import ConfigError, read_config
from serinus.bucketer.decide import Decider
from serinus.bucketer.server import serve

PORT = 8080


async def _run(decider: Decider, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await serve(decider, host, port)
    _say("listening", port=server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    _say("stopped")


def _say(event: str, **values: object) -> None:
    # Never anything of a request: an id would be in it.
    print(json.dumps({"event": event, **values}), flush=True)


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="serinus.bucketer", description="Tell a gateway each user's bucket.")
    parser.add_argument("config", type=Path, help="the configuration, a JSON file")
    parser.add_argument("--host", default="0.0.0.0", help="the address to listen at")  # noqa: S104 - a pod's own
    parser.add_argument("--port", type=int, default=PORT, help="the port to listen at, 0 for any")
    given = parser.parse_args()
    try:
        decider = Decider(read_config(given.config))
    except ConfigError as error:
        sys.exit(f"error: {error}")
    asyncio.run(_run(decider, given.host, given.port))


if __name__ == "__main__":
    main()
