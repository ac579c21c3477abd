"""kubectl, with the credentials and the context of whoever runs `serinus`.

What a person may do to the cluster is the cluster's decision; a client of our own would only be a second way to ask.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from local.errors import LocalError
from local.shell import output

Context = Annotated[str, typer.Option("--context", help="A context of the kubeconfig; the current one by default.")]


def kubectl(context: str, *words: str, what: str, remedy: str = "", document: Mapping[str, Any] | None = None) -> str:
    """Run one command and return what it prints; `document` is its input.

    Raises LocalError, which begins with `what` and holds kubectl's own words.
    """
    argv = ["kubectl", *(["--context", context] if context else []), *words]
    try:
        return output(argv, what=what, input=None if document is None else json.dumps(document))
    except LocalError as error:
        raise LocalError(str(error), remedy=remedy) from None
