"""How Alertmanager tells the agent: the operator's AlertmanagerConfig, and the same as plain configuration.

Its own defaults would wait half a minute before the first notice and four hours before the next. A canary has no such
time, and an agent that was away must hear again of what still fires.
"""

from dataclasses import dataclass
from typing import Any

from serinus.rollout import agency
from serinus.rollout.alertmanager import SERVICE

PATH = "/v1/alerts"
# Alertmanager takes the interval of a group for the time that a notice may take, and refuses to have none.
_GROUP_INTERVAL = "5s"
_REPEAT_INTERVAL = "1m"


@dataclass(frozen=True, slots=True)
class Receiver:
    """The agent, as those who speak for one service reach it: by the token they show it knows for which."""

    service: str
    namespace: str

    @property
    def secret(self) -> str:
        """The Secret in the service's namespace that holds the token."""
        return agency.binding_name(self.service)

    @property
    def url(self) -> str:
        """Where the agent takes alerts, inside the cluster."""
        return f"http://{agency.NAME}.{agency.NAMESPACE}.svc:{agency.PORT}{PATH}"


def operator_spec(receiver: Receiver) -> dict[str, Any]:
    """Return the spec of an AlertmanagerConfig, v1alpha1. The operator adds that only alerts of its namespace count."""
    return {
        "route": {
            "receiver": agency.NAME,
            "matchers": [{"name": SERVICE, "value": receiver.service, "matchType": "="}],
            # Every alert is a message of its own: none waits for another.
            "groupBy": ["..."],
            "groupWait": "0s",
            "groupInterval": _GROUP_INTERVAL,
            "repeatInterval": _REPEAT_INTERVAL,
        },
        "receivers": [
            {
                "name": agency.NAME,
                "webhookConfigs": [
                    {
                        "url": receiver.url,
                        "sendResolved": True,
                        "maxAlerts": 0,
                        "httpConfig": {
                            "authorization": {
                                "type": "Bearer",
                                "credentials": {"name": receiver.secret, "key": agency.TOKEN},
                            },
                        },
                    }
                ],
            }
        ],
    }


def plain_config(receiver: Receiver, token_file: str) -> dict[str, Any]:
    """Return the route and the receiver for an alertmanager.yml; `token_file` is a path where Alertmanager runs."""
    name = f"{agency.NAME}-{receiver.namespace}-{receiver.service}"
    return {
        "route": {
            "receiver": name,
            "matchers": [f'{SERVICE}="{receiver.service}"', f'namespace="{receiver.namespace}"'],
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": _GROUP_INTERVAL,
            "repeat_interval": _REPEAT_INTERVAL,
            # Whoever else listens to these alerts goes on doing so.
            "continue": True,
        },
        "receivers": [
            {
                "name": name,
                "webhook_configs": [
                    {
                        "url": receiver.url,
                        "send_resolved": True,
                        "max_alerts": 0,
                        "http_config": {"authorization": {"type": "Bearer", "credentials_file": token_file}},
                    }
                ],
            }
        ],
    }
