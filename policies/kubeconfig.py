"""Where a stack's cluster is and who may ask it, as its own provider knows: a kubeconfig and a context.

A client library would do this too, and would cost every preview half a second of imports.
"""

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serinus.rollout.yaml_text import read_yaml

_EXEC_SECONDS = 10.0


class KubeconfigError(Exception):
    """A kubeconfig that can't be used; the message says why, and never what a credential is."""


@dataclass(frozen=True, slots=True)
class Access:
    """A server's URL, how it is trusted (None for plain HTTP), and the bearer token, empty for none."""

    server: str
    trust: ssl.SSLContext | None
    token: str


def access(kubeconfig: str, context: str, environ: Mapping[str, str]) -> Access:
    """Read the access that a provider has.

    `kubeconfig` is a path or the file's content, empty for $KUBECONFIG or ~/.kube/config; `context` is empty for the
    current one. Raises KubeconfigError.
    """
    try:
        files = _documents(kubeconfig, environ)
        chosen = context or next((str(one["current-context"]) for one, _ in files if one.get("current-context")), "")
        wanted, _ = _named(files, "contexts", "context", chosen)
        cluster, beside = _named(files, "clusters", "cluster", str(wanted["cluster"]))
        user, home = _named(files, "users", "user", str(wanted["user"])) if wanted.get("user") else ({}, beside)
        if "exec" in user:
            user = {**user, **_from_program(user["exec"], environ)}
        server = str(cluster["server"])
        trust = _trust(cluster, beside, user, home) if server.startswith("https://") else None
        return Access(server, trust, _token(user, home))
    except (KeyError, TypeError, AttributeError) as error:
        raise KubeconfigError(f"the kubeconfig lacks {error}") from None
    except (OSError, ssl.SSLError, ValueError, yaml.YAMLError, subprocess.SubprocessError) as error:
        raise KubeconfigError(f"the kubeconfig can't be used: {type(error).__name__}") from None


Files = list[tuple[Mapping[str, Any], Path]]


def _documents(kubeconfig: str, environ: Mapping[str, str]) -> Files:
    """Every file with the directory that its relative paths start from."""
    if "\n" in kubeconfig or kubeconfig.startswith("{"):
        return [(read_yaml(kubeconfig), Path.cwd())]
    if kubeconfig:
        # A relative path starts from the project, where the engine was called; the pack runs in its own directory.
        path = Path(environ.get("PWD") or ".") / Path(kubeconfig).expanduser()
        paths = [path if path.exists() else Path.cwd().parent / kubeconfig]
    else:
        listed = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
        paths = [path for path in listed if path.exists()] if listed else [Path.home() / ".kube" / "config"]
    return [(read_yaml(path.read_text(encoding="utf-8")), path.parent) for path in paths]


def _named(files: Files, kind: str, key: str, name: str) -> tuple[Mapping[str, Any], Path]:
    for document, folder in files:
        for one in document.get(kind) or []:
            if one["name"] == name:
                return one.get(key) or {}, folder
    raise KubeconfigError(f"the kubeconfig has no {key} {name!r}")


def _trust(cluster: Mapping[str, Any], beside: Path, user: Mapping[str, Any], home: Path) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority", beside)
    trust = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    certificate, key = _content(user, "client-certificate", home), _content(user, "client-key", home)
    if certificate and key:
        # The library loads a certificate only from a file. Nobody else may read this one, and it is gone at once.
        with tempfile.NamedTemporaryFile() as both:
            both.write(certificate + b"\n" + key)
            both.flush()
            trust.load_cert_chain(both.name)
    return trust


def _content(entry: Mapping[str, Any], key: str, folder: Path) -> bytes:
    if entry.get(f"{key}-data"):
        return base64.b64decode(entry[f"{key}-data"], validate=True)
    return (folder / str(entry[key])).read_bytes() if entry.get(key) else b""


def _token(user: Mapping[str, Any], home: Path) -> str:
    if user.get("tokenFile"):
        return (home / str(user["tokenFile"])).read_text(encoding="utf-8").strip()
    return str(user.get("token") or "")


def _from_program(told: Mapping[str, Any], environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Ask the program that clouds use for credentials; it is the one that kubectl would run."""
    version = str(told.get("apiVersion") or "client.authentication.k8s.io/v1")
    asked = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    own = {str(one["name"]): str(one["value"]) for one in told.get("env") or []}
    done = subprocess.run(
        [str(told["command"]), *map(str, told.get("args") or [])],
        env={**environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(asked)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_EXEC_SECONDS,
        check=True,
    )
    status = json.loads(done.stdout)["status"]
    names = {"token": "token", "clientCertificateData": "certificate", "clientKeyData": "key"}
    found = {names[key]: str(value) for key, value in status.items() if key in names}
    pem = {
        f"client-{key}-data": base64.b64encode(found[key].encode()) for key in ("certificate", "key") if key in found
    }
    return {**pem, **({"token": found["token"]} if "token" in found else {})}
