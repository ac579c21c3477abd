"""What watches the local cluster: Prometheus, Alertmanager, and a stand-in for the operator that would feed them.

They are told of rules and receivers as in a real cluster: by the objects that stacks declare.
"""

import os
import shutil
import sys
from pathlib import Path

import yaml

from local import alertmanager, kubernetes, prometheus
from local.places import MONITORING, PKI, Network, cache, content_key
from local.processes import Daemon

_STAND_IN = Path(__file__).with_name("operator_stand_in")
_GROUP = "monitoring.coreos.com"
_KINDS = (
    ("PrometheusRule", "prometheusrules", "v1"),
    ("PodMonitor", "podmonitors", "v1"),
    ("AlertmanagerConfig", "alertmanagerconfigs", "v1alpha1"),
)


def daemons(net: Network, programs: Path) -> list[Daemon]:
    """The programs in the order of their start. `programs`: the unpacked Debian packages."""
    return [prometheus.daemon(net, programs), alertmanager.daemon(net, programs), _stand_in(net, programs)]


def prepare(net: Network) -> None:
    """Write what they read when they start."""
    prometheus.prepare(net)
    alertmanager.prepare()


def declare() -> None:
    """Tell the cluster of the operator's kinds, as far as stacks use them, and of what the stand-in may read."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "serinus-monitoring"},
        "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
            {"apiGroups": [""], "resources": ["services", "secrets"], "verbs": ["get"]},
            {"apiGroups": [_GROUP], "resources": [plural for _, plural, _ in _KINDS], "verbs": ["list"]},
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "serinus-monitoring"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "serinus-monitoring"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "serinus-monitoring"}],
    }
    documents = yaml.safe_dump_all([role, binding, *(_definition(*kind) for kind in _KINDS)])
    kubernetes.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=documents)


def _definition(kind: str, plural: str, version: str) -> dict[str, object]:
    """A definition that takes whatever the real one takes: what is wrong in an object shows where it is used."""
    schema = {
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{_GROUP}"},
        "spec": {
            "group": _GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def _stand_in(net: Network, programs: Path) -> Daemon:
    """The stand-in, copied to the cache and run by the machine's Python: the cluster outlives a checkout."""
    home = cache() / "monitoring" / content_key([_STAND_IN])
    if not home.exists():
        part = home.with_suffix(f".part-{os.getpid()}")
        shutil.copytree(_STAND_IN, part / _STAND_IN.name, ignore=shutil.ignore_patterns("__pycache__"))
        part.replace(home)
    python = os.path.realpath(sys.executable)
    places = (net.api, str(PKI), str(MONITORING), str(programs), net.prometheus, net.alertmanager)
    # No bytecode: what lies in the cache is what was copied there.
    return Daemon("operator-stand-in", (python, "-s", "-B", "-m", _STAND_IN.name, *places), {"PYTHONPATH": str(home)})
