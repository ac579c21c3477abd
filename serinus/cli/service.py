"""One service on the cluster, as the commands that change something reach it: by kubectl, with the user's own rights.

No agent is needed for any of it. Each write carries the version that was read, so that of two writers none is lost.
"""

import getpass
import json
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from local.errors import LocalError
from serinus.cli.kubectl import kubectl
from serinus.rollout.book import book_name, old_book_name, write
from serinus.rollout.canary_release import CRD_NAME, Spec
from serinus.rollout.cut import MANAGER, give_back, ingress_cut, is_cut
from serinus.rollout.deed import Deed
from serinus.rollout.hand import HandError
from serinus.rollout.ledger import Entry, Line
from serinus.rollout.share import share
from serinus.rollout.world import UnreadableError, read_spec

Name = Annotated[str, typer.Argument(metavar="SERVICE", help="The service, which has a CanaryRelease of its name.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="The namespace of the service.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the status, in the ledger and in notices.")]
By = Annotated[str, typer.Option(help="Who; by default whom the cluster takes you for.")]
Policies = Annotated[
    str, typer.Option(help="The policy pack's configuration, policies/NAME.json. By default the stack's name.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

_FIELD_MANAGER = "serinus-cli"
_TRIES = 8
# How the API server says that somebody else wrote in between.
_CONFLICTS = ("(Conflict)", "the object has been modified", "(AlreadyExists)", "test operation for a patch could not")
_FORBIDDEN = "(Forbidden)"

_Answer = TypeVar("_Answer")


class Service:
    """Reads and writes one service's objects. All methods raise LocalError, in kubectl's own words."""

    def __init__(self, context: str, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self._context = context

    def who(self, by: str) -> str:
        """Return who acts: who was named, else whom the cluster takes the user for, else the user of this machine."""
        if by.strip():
            return by.strip()
        try:
            found = json.loads(self._run("auth", "whoami", "-o", "json", what="asking who you are"))
            name = str(found["status"]["userInfo"]["username"])
        except (LocalError, ValueError, KeyError):
            name = ""
        return name or getpass.getuser()

    def release(self) -> dict[str, Any] | None:
        """Read the CanaryRelease; None where there is none, or where the cluster knows no such kind."""
        try:
            return self._get(CRD_NAME, self.name)
        except LocalError as error:
            if "doesn't have a resource type" in str(error):
                return None
            raise

    def declared(self) -> tuple[dict[str, Any], Spec, int]:
        """Read the CanaryRelease with its spec and generation. Raises LocalError where there is none."""
        found = self.release()
        if found is None:
            raise LocalError(
                f"there is no CanaryRelease {self.namespace}/{self.name}",
                remedy="Name another SERVICE or --namespace, or set serinus:guard to true and run `pulumi up`.",
            )
        return found, *spec_of(found)

    def ingress(self) -> dict[str, Any]:
        """Read the canary's Ingress, with who owns which field."""
        name = f"{self.name}-canary"
        found = self._get("ingress", name, "--show-managed-fields")
        if found is None:
            raise LocalError(
                f"there is no Ingress {self.namespace}/{name}",
                remedy="Name another SERVICE, --namespace or --context.",
            )
        return found

    def cut(self, ingress: dict[str, Any]) -> bool:
        """Take all traffic from the canary, as the agent would. Tell whether the API server now says so."""
        document = ingress_cut(ingress["metadata"]["name"], annotations(ingress))
        flags = ("--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "--validate=false")
        what = f"cutting the canary of {self.namespace}/{self.name}"
        after = json.loads(self._run("apply", *flags, "-o", "json", "-f", "-", what=what, document=document))
        return is_cut(annotations(after))

    def give_back(self, known: list[dict[str, Any]] | None = None) -> None:
        """Give the Ingress' fields back to whoever declares them, as they are.

        `known` is the patch for what was read before: tried first, since an agent waits only seconds for it.
        """
        patches = [known] if known else []

        def attempt() -> None:
            patch = patches.pop() if patches else give_back(self.ingress()["metadata"].get("managedFields", []))
            if patch:
                words = ("patch", "ingress", f"{self.name}-canary", "--type=json", "-p", json.dumps(patch))
                self._run(*words, what=f"giving the Ingress of {self.name} back")

        _again(attempt)

    def change_status(self, change: Callable[[Spec, int, object], dict[str, Any]]) -> dict[str, Any]:
        """Change the status by what was read; where somebody else was faster, read and decide again."""

        def attempt() -> dict[str, Any]:
            found, spec, generation = self.declared()
            try:
                status = change(spec, generation, found.get("status"))
            except HandError as error:
                raise LocalError(str(error), remedy=error.remedy) from None
            what = f"writing the status of {self.namespace}/{self.name}"
            flags = ("--subresource=status", f"--field-manager={_FIELD_MANAGER}", "-f", "-")
            self._run("replace", *flags, what=what, document={**found, "status": status})
            return status

        return _again(attempt)

    def note(self, deed: Deed) -> Entry:
        """Write a deed into the ledger."""
        return _again(lambda: self._note(deed))

    def note_after(self, done: str, deed: Deed) -> Entry:
        """Write a deed that is done into the ledger. Its LocalError says that only the ledger lacks it."""
        try:
            return self.note(deed)
        except LocalError as error:
            raise LocalError(f"{self.name} is {done}, but not in the ledger: {error}", remedy=error.remedy) from None

    def config_map(self, name: str) -> dict[str, Any] | None:
        """Read a ConfigMap; None where there is none."""
        return self._get("configmap", name)

    def pods(self, release: str) -> list[str]:
        """Return the names of a release's running pods."""
        labels = f"serinus.dev/service={self.name},serinus.dev/release={release}"
        flags = ("-l", labels, "--field-selector=status.phase=Running", "-o", "name")
        return self._run("get", "pods", *flags, what=f"listing the pods of {release}").split()

    def execute(self, pod: str, *words: str) -> None:
        """Run a program in a pod."""
        self._run("exec", pod, "--", *words, what=f"running {words[0]} in {pod}")

    def _note(self, deed: Deed) -> Entry:
        book = self.config_map(book_name(self.name))
        done = write((book or {}).get("data"), Line.of(deed))
        if done.old is not None:
            self._put(old_book_name(self.name), self.config_map(old_book_name(self.name)), done.old)
        self._put(book_name(self.name), book, done.book)
        return done.entry

    def _put(self, name: str, before: dict[str, Any] | None, data: dict[str, str]) -> None:
        new = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": self.namespace}}
        verb = "create" if before is None else "replace"
        document = {**(before or new), "data": data}
        flags = (f"--field-manager={_FIELD_MANAGER}", "-f", "-")
        self._run(verb, *flags, what=f"writing {self.namespace}/{name}", document=document)

    def _get(self, kind: str, name: str, *flags: str) -> dict[str, Any] | None:
        what = f"reading {kind} {self.namespace}/{name}"
        text = self._run("get", kind, name, "--ignore-not-found", "-o", "json", *flags, what=what)
        found: dict[str, Any] | None = json.loads(text) if text.strip() else None
        return found

    def _run(self, *words: str, what: str, document: dict[str, Any] | None = None) -> str:
        try:
            return kubectl(self._context, "-n", self.namespace, *words, what=what, document=document)
        except LocalError as error:
            remedy = (
                "Ask whoever runs the cluster for the Role in docs/operating.md." if _FORBIDDEN in str(error) else ""
            )
            raise LocalError(str(error), remedy=remedy) from None


def spec_of(found: dict[str, Any]) -> tuple[Spec, int]:
    """Return spec and generation of a CanaryRelease. Raises LocalError where the spec can't be read."""
    try:
        return read_spec(found.get("spec")), int(found["metadata"]["generation"])
    except UnreadableError as error:
        raise LocalError(f"the CanaryRelease can't be read: {error}", remedy="pulumi up") from None


def annotations(ingress: dict[str, Any]) -> dict[str, str]:
    """Return an Ingress' annotations."""
    found: dict[str, str] = ingress["metadata"].get("annotations", {})
    return found


def weight_of(ingress: dict[str, Any]) -> int:
    """Return the canary's share in percent that an Ingress asks for; 100 where it can't be counted."""
    return share(annotations(ingress))


def _again(attempt: Callable[[], _Answer]) -> _Answer:
    """Try again where somebody else wrote in between, a few times."""
    for _ in range(_TRIES - 1):
        try:
            return attempt()
        except LocalError as error:
            if not any(words in str(error) for words in _CONFLICTS):
                raise
    return attempt()
