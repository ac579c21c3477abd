import json
import logging
from datetime import timedelta

import pytest

from serinus.agent.logs import JsonLines
from serinus.agent.settings import SettingsError, read_settings

GOOD = {
    "SERINUS_AGENT_IDENTITY": "serinus-agent-0",
    "SERINUS_AGENT_GATEWAY": "http://gateway:9100/metrics http://10.0.0.1:9100/metrics",
    "SERINUS_AGENT_LOOK_SECONDS": "0.2",
    "HOME": "/",
}


def test_the_environment_says_what_to_watch() -> None:
    settings = read_settings(GOOD)
    assert settings.gateway == ("http://gateway:9100/metrics", "http://10.0.0.1:9100/metrics")
    assert (settings.look_seconds, settings.blind_after) == (0.2, timedelta(seconds=30))
    assert settings.lease_path.endswith("/namespaces/serinus-system/leases/serinus-agent")


def test_every_mistake_is_named_at_once() -> None:
    wrong = {"SERINUS_AGENT_GATEWAY": "gateway:9100", "SERINUS_AGENT_PORT": "many", "SERINUS_AGENT_PROMETHEUS": "x"}
    with pytest.raises(SettingsError) as raised:
        read_settings(wrong)
    for word in ("'gateway:9100'", "SERINUS_AGENT_PORT='many'", "'x'", "IDENTITY is missing"):
        assert word in str(raised.value)


def test_a_log_is_one_line_of_json() -> None:
    record = logging.makeLogRecord({"msg": "cut %s", "args": ("now\nhere",), "levelname": "INFO", "seconds": 0.1})
    line = JsonLines().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["message"], told["level"], told["seconds"]) == ("cut now\nhere", "info", 0.1)
