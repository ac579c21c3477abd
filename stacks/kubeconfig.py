"""Which contexts a kubeconfig knows, so that a wrong one is refused by name before anything is sent to a cluster."""

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from serinus.rollout.yaml_text import read_yaml


class KubeconfigError(ValueError):
    """A kubeconfig file that is missing or can't be read; the message says which and why."""


def default_files(environ: Mapping[str, str]) -> list[Path]:
    """The files that are read where a stack names none: those of $KUBECONFIG, else ~/.kube/config."""
    listed = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    # A file of the list that does not exist counts as empty: so says Kubernetes' own rule for $KUBECONFIG.
    return [path for path in listed if path.exists()] if listed else [Path.home() / ".kube" / "config"]


def context_names(files: list[Path]) -> list[str]:
    """Return the names of all contexts of these files, sorted.

    Raises KubeconfigError when a file can't be read or is no kubeconfig.
    """
    return sorted({name for file in files for name in _names(file)})


def _names(file: Path) -> list[str]:
    try:
        content = read_yaml(file.read_text(encoding="utf-8"))
        return [str(context["name"]) for context in content["contexts"] or []]
    except OSError as error:
        raise KubeconfigError(f"{file} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        raise KubeconfigError(f"{file} is no kubeconfig: it has no list of contexts with names") from None
