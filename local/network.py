"""The cluster's own network namespace: nothing leaks to the host, and taking it down is deleting the namespace."""

import ipaddress
import json
import subprocess
from pathlib import Path

from local.errors import LocalError
from local.places import NAMESPACE, Network
from local.shell import output

_HANDLE = Path("/run/netns") / NAMESPACE
_HOST_LINK = f"{NAMESPACE}0"
ENTER = ("nsenter", f"--net={_HANDLE}")
"""The words before a program that shall run inside. Not `ip netns exec`: that remounts /sys and hides the cgroups."""


def exists() -> bool:
    return _HANDLE.exists()


def ensure(net: Network) -> None:
    """Create the namespace, its link and the routes to it; do nothing where they are there already.

    Raises LocalError when another network of this machine uses the same addresses.
    """
    if exists() and _linked(net):
        return
    remove()
    _refuse_overlap(net)
    inside = f"{NAMESPACE}-in"
    for command in (
        f"ip netns add {NAMESPACE}",
        f"ip link add {_HOST_LINK} type veth peer name {inside}",
        f"ip link set {inside} netns {NAMESPACE} name eth0",
        f"ip address add {net.host}/{net.link.prefixlen} dev {_HOST_LINK}",
        f"ip link set {_HOST_LINK} up",
        f"ip -n {NAMESPACE} link set lo up",
        f"ip -n {NAMESPACE} address add {net.node}/{net.link.prefixlen} dev eth0",
        f"ip -n {NAMESPACE} link set eth0 up",
        f"ip -n {NAMESPACE} route add default via {net.host}",
        f"ip route add {net.pods} via {net.node}",
        f"ip route add {net.services} via {net.node}",
    ):
        output(command.split(), what="setting up the cluster's network")
    # Pods reach each other and the gateway through the namespace.
    output([*ENTER, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], what="setting up the cluster's network")


def remove() -> None:
    """Delete the namespace and the link; its addresses, routes and packet rules go with them."""
    for command in (f"ip link del {_HOST_LINK}", f"ip netns del {NAMESPACE}"):
        subprocess.run(command.split(), capture_output=True, check=False)


def _linked(net: Network) -> bool:
    done = subprocess.run(["ip", "-json", "address", "show", _HOST_LINK], capture_output=True, text=True, check=False)
    return done.returncode == 0 and f'"{net.host}"' in done.stdout.replace(" ", "")


def _refuse_overlap(net: Network) -> None:
    for route in json.loads(output(["ip", "-json", "route"], what="reading the machine's routes") or "[]"):
        if route["dst"] == "default":
            continue
        if ipaddress.IPv4Network(route["dst"], strict=False).overlaps(net.block):
            raise LocalError(
                f"the addresses {net.block} are in use here: route {route['dst']} by {route.get('dev', '?')}",
                remedy="name another private /16 for the local cluster, for example SERINUS_LOCAL_NETWORK=10.77.0.0/16",
            )
