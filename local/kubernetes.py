"""A one-node Kubernetes: its keys, its configuration files and its daemons, as data; cluster.py starts them.

Why each unusual flag is there stands beside it: most are what a container without all capabilities, a kernel with
cgroup v1 or an old containerd needs, and do no harm elsewhere.
"""

import base64
import hashlib
import itertools
import json
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from local import golang, podimage
from local.places import API_PORT, CONTEXT, KUBECONFIG, PKI, RUN, STATE, Network
from local.processes import Daemon
from local.shell import output

NODE = "serinus"
CONTAINERD_SOCKET = STATE / "containerd.sock"
_CGROUP = "/serinus"
_ETCD_PORT = 2379
# Who may call the API server, by token: user name and groups, as its static token file wants them. The parts of
# Kubernetes have their rights from its own bootstrap roles; gateway and monitoring get theirs in
# gateway.py and monitoring.py.
_USERS = {
    "admin": ("serinus-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "gateway": ("serinus-gateway", ""),
    "monitoring": ("serinus-monitoring", ""),
}


def prepare(net: Network, programs: Path) -> None:
    """Write keys (once) and configuration files (each time). `programs`: the unpacked Debian packages."""
    _keys(net)
    for user in _USERS:
        path = KUBECONFIG if user == "admin" else RUN / f"{user}.kubeconfig"
        _write(path, json.dumps(_kubeconfig(net, user), indent=1), mode=0o600)
    _write(RUN / "kubelet.yaml", yaml.safe_dump(_kubelet_config(net)))
    _write(RUN / "proxy.yaml", yaml.safe_dump(_proxy_config(net)))
    _write(RUN / "containerd.toml", _containerd_config(programs))
    _write(RUN / "cni" / "10-serinus.conflist", json.dumps(_cni_config(net)))
    _make_cgroup()


def knows_its_users() -> bool:
    """Whether every static user has a token; an API server reads them only when it starts."""
    return all((PKI / f"{user}.token").exists() for user in _USERS)


def token(user: str) -> str:
    """The token of one of the static users."""
    return (PKI / f"{user}.token").read_text()


def daemons(net: Network, programs: Path) -> list[Daemon]:
    """The programs of the cluster in the order of their start."""
    kubernetes = str(golang.KUBERNETES.path())
    # The same words from whatever shell: a daemon that would be started differently counts as not running.
    path = {
        "PATH": f"{programs}/usr/sbin:{programs}/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    }

    def part(name: str, *flags: str) -> Daemon:
        return Daemon(name, (kubernetes, name, *flags, "--v=1"), path)

    return [
        Daemon(
            "etcd",
            (
                f"{programs}/usr/bin/etcd",
                f"--data-dir={STATE}/etcd",
                f"--listen-client-urls=http://127.0.0.1:{_ETCD_PORT}",
                f"--advertise-client-urls=http://127.0.0.1:{_ETCD_PORT}",
                "--listen-peer-urls=http://127.0.0.1:2380",
                # A cluster that is thrown away needs no write to survive a power cut, and every step waits for writes.
                "--unsafe-no-fsync",
                "--log-level=warn",
            ),
        ),
        Daemon("containerd", (f"{programs}/usr/bin/containerd", "--config", f"{RUN}/containerd.toml"), path),
        part(
            "apiserver",
            f"--etcd-servers=http://127.0.0.1:{_ETCD_PORT}",
            f"--bind-address={net.node}",
            f"--advertise-address={net.node}",
            f"--secure-port={API_PORT}",
            f"--service-cluster-ip-range={net.services}",
            f"--token-auth-file={PKI}/tokens.csv",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--anonymous-auth=false",
            f"--tls-cert-file={PKI}/apiserver.crt",
            f"--tls-private-key-file={PKI}/apiserver.key",
            f"--kubelet-certificate-authority={PKI}/ca.crt",
            f"--kubelet-client-certificate={PKI}/kubelet-client.crt",
            f"--kubelet-client-key={PKI}/kubelet-client.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={PKI}/accounts.key",
            f"--service-account-signing-key-file={PKI}/accounts.key",
            # There is no cluster DNS for node names: without it logs and exec would look the node up.
            "--kubelet-preferred-address-types=InternalIP",
        ),
        part(
            "controller-manager",
            f"--kubeconfig={RUN}/controller-manager.kubeconfig",
            f"--root-ca-file={PKI}/ca.crt",
            f"--service-account-private-key-file={PKI}/accounts.key",
            "--use-service-account-credentials",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
        ),
        part(
            "scheduler", f"--kubeconfig={RUN}/scheduler.kubeconfig", "--bind-address=127.0.0.1", "--leader-elect=false"
        ),
        part(
            "kubelet",
            f"--config={RUN}/kubelet.yaml",
            f"--kubeconfig={RUN}/kubelet.kubeconfig",
            f"--hostname-override={NODE}",
            f"--node-ip={net.node}",
            f"--root-dir={STATE}/kubelet",
        ),
        part("proxy", f"--config={RUN}/proxy.yaml"),
    ]


def kubectl(*arguments: str, input: str | None = None, timeout: float = 60.0) -> str:
    """What kubectl prints, run as the cluster's admin."""
    return output(
        [golang.KUBERNETES.path(), "kubectl", f"--kubeconfig={KUBECONFIG}", *arguments],
        what="kubectl",
        input=input,
        timeout=timeout,
    )


def import_image(programs: Path, archive: Path) -> None:
    """Give an image file to the node."""
    output(
        [
            f"{programs}/usr/bin/ctr",
            f"--address={CONTAINERD_SOCKET}",
            "--namespace=k8s.io",
            "images",
            "import",
            archive,
        ],
        what=f"importing {archive.name}",
        timeout=300,
    )


@dataclass(frozen=True)
class Shim:
    """containerd's helper for one container of this cluster; the container's processes are its children."""

    pid: int
    socket: Path


def shims() -> list[Shim]:
    """The helpers that run now."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (
                (entry / "cmdline").read_bytes().decode(errors="replace").split("\0") if entry.name.isdigit() else []
            )
        except OSError:
            continue  # it ended while we looked
        if words and "containerd-shim" in words[0] and str(CONTAINERD_SOCKET) in words:
            options = dict(itertools.pairwise(words))
            # containerd names a helper's socket by this hash, in a directory that all containerds of a machine share.
            name = hashlib.sha256(
                f"{CONTAINERD_SOCKET}/{options.get('-namespace')}/{options.get('-id')}".encode()
            ).hexdigest()
            found.append(Shim(int(entry.name), Path("/run/containerd/s") / name))
    return found


def cgroups() -> list[Path]:
    """The control groups of this cluster's pods, in every hierarchy, the innermost first."""
    found = []
    for hierarchy in _hierarchies():
        top = hierarchy / _CGROUP.lstrip("/")
        if top.exists():
            found += [*sorted((p for p in top.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)), top]
    return found


def _hierarchies() -> list[Path]:
    base = Path("/sys/fs/cgroup")
    return (
        [base]
        if (base / "cgroup.controllers").exists()
        else [p for p in base.iterdir() if p.is_dir() and not p.is_symlink()]
    )


def _make_cgroup() -> None:
    for hierarchy in _hierarchies():
        group = hierarchy / _CGROUP.lstrip("/")
        group.mkdir(exist_ok=True)
        # A v1 cpuset starts empty, and nothing can run in an empty one.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (group / name).exists() and not (group / name).read_text().strip():
                (group / name).write_text((hierarchy / name).read_text())


def _keys(net: Network) -> None:
    """A certificate authority, the two certificates it signs, the key of service accounts, and the static tokens."""
    PKI.mkdir(parents=True, exist_ok=True, mode=0o700)
    _tokens()
    # Certificates name the node's address: another network needs others.
    if (PKI / "node").exists() and (PKI / "node").read_text() == net.node:
        return
    names = ["kubernetes.default.svc", "kubernetes.default", "kubernetes", "localhost"]
    addresses = [net.node, str(next(net.services.hosts()))]
    api = "subjectAltName=" + ",".join([*(f"DNS:{n}" for n in names), *(f"IP:{a}" for a in addresses)])
    _openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "3650",
        "-subj",
        "/CN=serinus-local-ca",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
    )
    _certificate("apiserver", "/CN=kube-apiserver", api)
    _certificate("kubelet", f"/O=system:nodes/CN=system:node:{NODE}", f"subjectAltName=IP:{net.node},DNS:{NODE}")
    _certificate("kubelet-client", "/O=system:masters/CN=kube-apiserver", "extendedKeyUsage=clientAuth")
    _openssl("genrsa", "-out", "accounts.key", "2048")
    _write(PKI / "node", net.node)


def _tokens() -> None:
    """A token for each user that has none yet, and the list of all for the API server."""
    lines = []
    for user, (name, group) in _USERS.items():
        if not (PKI / f"{user}.token").exists():
            _write(PKI / f"{user}.token", secrets.token_hex(24), mode=0o600)
        lines.append(f'{token(user)},{name},{name},"{group}"')
    _write(PKI / "tokens.csv", "\n".join(lines) + "\n", mode=0o600)


def _certificate(name: str, subject: str, extension: str) -> None:
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
    _write(PKI / f"{name}.ext", extension)
    _openssl(
        "x509",
        "-req",
        "-in",
        f"{name}.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "3650",
        "-extfile",
        f"{name}.ext",
        "-out",
        f"{name}.crt",
    )


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=PKI, check=True, capture_output=True)


def _kubeconfig(net: Network, user: str) -> dict[str, object]:
    authority = base64.b64encode((PKI / "ca.crt").read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": net.api, "certificate-authority-data": authority}}],
        "users": [{"name": f"{CONTEXT}-{user}", "user": {"token": token(user)}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": f"{CONTEXT}-{user}"}}],
        "current-context": CONTEXT,
    }


def _kubelet_config(net: Network) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": net.node,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": f"{PKI}/kubelet.crt",
        "tlsPrivateKeyFile": f"{PKI}/kubelet.key",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": _CGROUP,
        "failCgroupV1": False,
        "failSwapOn": False,
        # The user's disk may be fuller than a production node's; pods must not be evicted for it.
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "podCIDR": str(net.pods),
        "maxPods": 110,
        "healthzBindAddress": "127.0.0.1",
        "readOnlyPort": 0,
        "registerNode": True,
    }


def _proxy_config(net: Network) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "bindAddress": net.node,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "clientConnection": {"kubeconfig": f"{RUN}/proxy.kubeconfig"},
        "clusterCIDR": str(net.pods),
        "hostnameOverride": NODE,
        # Zero means: leave the kernel's connection tracking alone. A container may not change it.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _containerd_config(programs: Path) -> str:
    return f"""version = 2
root = "{STATE}/containerd"
state = "{STATE}/containerd-run"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{podimage.PAUSE}"
  # Without the right to lower its own score every container would fail to start.
  restrict_oom_score_adj = true
  # So that taking the cluster down finds every mount below its own directory.
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{programs}/usr/lib/cni"
    conf_dir = "{RUN}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def _cni_config(net: Network) -> dict[str, object]:
    return {
        "cniVersion": "0.4.0",
        "name": "serinus",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(net.pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": f"{STATE}/cni",
                },
            },
        ],
    }


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text)
