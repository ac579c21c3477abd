"""Users get what was tested: a release that serves does not change, and no release serves all before it was a canary.

A changed prompt, image or engine flag is a new release. It begins at the first rung, like every other.
"""

from collections.abc import Iterator

from pulumi_policy import ResourceValidationArgs, ResourceValidationPolicy, Severity

from policies.before import Before, Sources, annotations, backends, before, kind_of, labels
from policies.checkpoint import CheckpointError
from policies.cluster import SERVICE_LABEL
from policies.rule import rule
from policies.steps import override_of
from serinus.rollout.canary_release import Spec
from serinus.rollout.hold import waive
from serinus.rollout.share import CANARY, OFF, share
from serinus.rollout.status import read_status
from serinus.rollout.succession import Stable, check_swap, check_unwatched_swap, newcomers

_RELEASE_LABEL = "serinus.dev/release"


def build(sources: Sources = Sources()) -> ResourceValidationPolicy:  # noqa: B008 (it is frozen)
    """Build the rule; `sources` say what there was before the update."""
    # The engine asks about the stable Ingress before the canary's, which depends on it. So what the one is about to
    # become is known when the other is judged.
    moving: set[tuple[str, str]] = set()

    def refusals(args: ResourceValidationArgs) -> Iterator[str]:
        service = str(labels(args.props).get(SERVICE_LABEL, ""))
        kind, metadata = kind_of(args), args.props.get("metadata") or {}
        if not service or kind not in ("Deployment", "Ingress"):
            return
        place = (str(metadata.get("namespace", "")), service)
        name = metadata.get("name", "")
        try:
            if kind == "Deployment":
                yield from _changed(args, service, before(args, sources))
            elif name == f"{service}-stable":
                there = before(args, sources)
                if there.own and set(backends(there.own[0])) != set(backends(args.props)):
                    moving.add(place)
                yield from _swapped(args, service, there, sources)
            elif place in moving and _share(args) > 0:
                yield (
                    f"the stable release changes in this update, and {_share(args)} % go to a canary too. "
                    "Swap with weight 0 first, then begin the next rollout."
                )
        except CheckpointError as error:
            yield f"what it was before is not known ({error}). Until it can be read, nothing that serves may change."

    return rule(
        "release-immutable-while-live",
        "A release that serves users does not change, and all users move only to a canary at 100 %, or back.",
        refusals,
        severity=Severity.CRITICAL,
        remedy="Give the changed release a name of its own, and bring it up the ladder as the canary.",
    )


def _changed(args: ResourceValidationArgs, service: str, there: Before) -> Iterator[str]:
    """A Deployment that gets another release's content while users are on it."""
    new = str(labels(args.props).get(_RELEASE_LABEL, ""))
    name = str((args.props.get("metadata") or {}).get("name", ""))
    for one in there.own:
        old = str(labels(one).get(_RELEASE_LABEL, ""))
        if old and old != new:
            for role in _roles(name, service, there):
                yield (
                    f"the release {old} serves as the {role}, and this update would make it {new or 'none'}. "
                    "Leave its file as it is and give the change a release of its own, with another name."
                )


def _roles(name: str, service: str, there: Before) -> Iterator[str]:
    """What a release is to the users now, by the Service of its name."""
    if name in backends(there.ingresses.get(f"{service}-stable", {})):
        yield "stable release"
    canary = there.ingresses.get(f"{service}-canary", {})
    if name in backends(canary) and share(annotations(canary)) > 0:
        yield "canary"


def _swapped(args: ResourceValidationArgs, service: str, there: Before, sources: Sources) -> Iterator[str]:
    """A stable Ingress that gets another backend, or another way back."""
    if not there.own:
        return
    old = Stable.of(backends(there.own[0]), annotations(there.own[0]))
    new = Stable.of(backends(args.props), annotations(args.props))
    canary, now = there.ingresses.get(f"{service}-canary", {}), sources.now()
    if there.unread and newcomers(old, new):
        yield f"the cluster can't be asked who is on which release ({there.unread}), so nobody may be moved to another."
    elif there.release is None:
        found = check_unwatched_swap(backends(canary), share(annotations(canary), uncounted=0), old, new)
        yield from map(str, found)
    elif newcomers(old, new) or new != old:
        try:
            spec = Spec.model_validate(there.release.get("spec"))
        except ValueError as error:
            yield f"the CanaryRelease is malformed: {error}"
            return
        declared = spec.declared((there.release.get("metadata") or {}).get("generation", 0))
        found = check_swap(declared, read_status(there.release.get("status")), old, new, now)
        yield from map(str, waive(found, override_of(there.release), now).remaining)


def _share(args: ResourceValidationArgs) -> int:
    written = annotations(args.props)
    return 0 if written.get(CANARY, "").lower() in OFF else share(written)
