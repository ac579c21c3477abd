"""Where the agent of a cluster is, and by which names it and a service's stack know each other.

There is one agent in a cluster. A stack binds it: by a Role for its account in the service's own namespace, and by a
Secret there that says on which terms. Where no stack has done so the agent can do nothing.
"""

NAMESPACE = "serinus-system"
NAME = "serinus-agent"
"""The agent's Deployment, Service, ServiceAccount and Lease."""
PORT = 8080
USER = f"system:serviceaccount:{NAMESPACE}:{NAME}"
"""What the API server calls the agent."""
SUBJECT = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
"""The agent as a RoleBinding names it."""

# The keys of the Secret. Those who send alerts read the token there too.
TOKEN = "token"  # noqa: S105 (the name of a key in a Secret)
PROMETHEUS = "prometheus"
BLIND_HOLD_SECONDS = "blindHoldSeconds"
BLIND_DECAY_SECONDS = "blindDecaySeconds"
NOTICES_SECRET = "noticesSecret"  # noqa: S105 (the same)


def binding_name(service: str) -> str:
    """Return the name of the Secret, the Role and the RoleBinding by which a service's stack binds the agent."""
    return f"{service}-agent"
