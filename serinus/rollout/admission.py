"""The rules of a step as admission policies, so that the API server refuses what `pulumi preview` would refuse.

Nothing is decided here. Each row of the rule table becomes one validation in CEL, and each fact that the rows name
becomes one expression over the Ingress and the CanaryRelease; a rule with a fact that has no expression can't be
rendered. Python and CEL answer one table of cases alike (tests/parity_cases.py).

What only an API server can see stands beside the table: that an Ingress is born, that another canary claims the host,
that the CanaryRelease is about to go, and what the agent's account changes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import NamedTuple

from serinus.rollout import rules as table
from serinus.rollout import share
from serinus.rollout.canary_release import CRD_NAME, GROUP, PLURAL, VERSION
from serinus.rollout.patterns import COMPILED, COOKIE_NAMED, NOBODY, TESTERS
from serinus.rollout.rules import (
    CAP_RULES,
    LADDER_RULES,
    STATUS_RULES,
    SWAP_RULES,
    SWAP_STATUS_RULES,
    Condition,
    Fact,
    Rule,
    Value,
)
from serinus.rollout.status import read_status
from serinus.rollout.step import Freshness
from serinus.rollout.succession import PREVIOUS_NOTE

_FRESHNESS = Freshness()
# A step whose moment can't be told is older than any status may be.
_TIMELESS = "1000000000.0"


@dataclass(frozen=True, slots=True)
class Guarded:
    """The service that is guarded.

    `break_glass` is a group whose members the guard lets pass, empty for nobody. `inner_host` is where the split is,
    if that is not the users' own host.
    """

    service: str
    namespace: str
    host: str
    break_glass: str = ""
    inner_host: str = ""

    @property
    def canary_ingress(self) -> str:
        """The name of the only Ingress that may hold the canary's share."""
        return f"{self.service}-canary"

    @property
    def stable_ingress(self) -> str:
        """The name of the Ingress that all other users come through."""
        return f"{self.service}-stable"

    @property
    def agent_account(self) -> str:
        """The name of the agent's ServiceAccount in the service's namespace."""
        return f"{self.service}-agent"

    @property
    def agent_user(self) -> str:
        """What the API server calls the agent."""
        return f"system:serviceaccount:{self.namespace}:{self.agent_account}"


class Resource(NamedTuple):
    """What a policy looks at."""

    group: str
    version: str
    plural: str
    operations: tuple[str, ...]


class Named(NamedTuple):
    """A named CEL expression: a variable or a condition of a policy."""

    name: str
    expression: str


class Validation(NamedTuple):
    """A request is refused unless `expression` holds; `says` is CEL that makes the message with its values."""

    expression: str
    says: str
    code: str


@dataclass(frozen=True, slots=True)
class Policy:
    """One admission policy. `with_release`: its CEL reads the service's CanaryRelease as `params`."""

    name: str
    resource: Resource
    conditions: tuple[Named, ...]
    variables: tuple[Named, ...]
    validations: tuple[Validation, ...]
    with_release: bool = False


def policies(guarded: Guarded) -> tuple[Policy, ...]:
    """Return all policies of one service. Their names are unique in the cluster."""
    return (
        _steps(guarded),
        _swaps(guarded),
        _ingresses(guarded),
        _objects(guarded),
        _definition(guarded),
        _agent(guarded),
    )


def _steps(guarded: Guarded) -> Policy:
    """The rule table: nobody raises the canary's share further or sooner than the table says."""
    declared = Validation(
        "!variables.rises || (variables.canaryBackend != '' "
        "&& variables.backends.all(p, p.all(b, b == variables.canaryBackend)))",
        _sentence(
            "the Ingress routes to {backends}, but the declared canary is {canary} (other-backend). "
            "Declare the canary with weight 0 first, then raise it.",
            {"backends": "variables.backends", "canary": "params.spec.canary"},
        ),
        "other-backend",
    )
    return Policy(
        _name(guarded, "steps"),
        # A new Ingress is none of the rules' business: it has no share at all.
        Resource("networking.k8s.io", "v1", "ingresses", ("UPDATE",)),
        (*_but_for(guarded.break_glass), Named("canary-ingress", _is_canary_ingress(guarded))),
        (*_shares(guarded), *_facts_of_the_release()),
        (
            *(_validation(rule, needs_status=False) for rule in LADDER_RULES),
            declared,
            _status_there("rises"),
            *(_validation(rule, needs_status=True) for rule in (*STATUS_RULES, *CAP_RULES)),
        ),
        with_release=True,
    )


def _swaps(guarded: Guarded) -> Policy:
    """Nobody moves all users at once, but to the canary that they are on already, or back."""
    facts = {
        **_EXPRESSIONS,
        table.OLD: str(share.EVERYTHING),
        table.BAKE_SECONDS: "double(variables.topBakeSeconds)",
    }

    def of_a_swap(rule: Rule, *, needs_status: bool) -> Validation:
        return _validation(rule, "moves", facts, needs_status=needs_status)

    untested, *others = SWAP_RULES
    forged = Validation(
        "variables.previous in ['', variables.wasPrevious] "
        "|| (variables.moves && variables.previous in variables.wasBehind)",
        _sentence(
            "{previous} is not the release that this change replaces (previous-never-stable). "
            "Set serinus:previous in the swap itself, to the release that was stable; or to nothing.",
            {"previous": "variables.previous"},
        ),
        "previous-never-stable",
    )
    return Policy(
        _name(guarded, "swaps"),
        Resource("networking.k8s.io", "v1", "ingresses", ("CREATE", "UPDATE")),
        (
            *_but_for(guarded.break_glass),
            Named("stable-ingress", _is_called(guarded.stable_ingress, guarded.namespace)),
        ),
        (*_annotations(), *_facts_of_the_status(), *_facts_of_a_swap()),
        (
            of_a_swap(untested, needs_status=False),
            _status_there("moves"),
            *(of_a_swap(rule, needs_status=True) for rule in (*others, *SWAP_STATUS_RULES)),
            forged,
        ),
        with_release=True,
    )


def _ingresses(guarded: Guarded) -> Policy:
    """No road around the table: no Ingress born with a share, and no second canary for the host."""
    values = {"share": "variables.newShare", "host": _text(guarded.host), "owner": _text(guarded.canary_ingress)}
    born = Validation(
        "oldObject != null || variables.newShare == 0",
        _sentence(
            "an Ingress can't be created with {share} % for a canary (born-above-zero). "
            "Create it with weight 0, then raise it.",
            values,
        ),
        "born-above-zero",
    )
    second = Validation(
        f"{_is_canary_ingress(guarded)} || !variables.on || (variables.wasOn && !variables.rises)",
        _sentence(
            f"the host {{host}} has its canary already, the Ingress {guarded.namespace}/{{owner}} (second-canary). "
            "Use another host.",
            values,
        ),
        "second-canary",
    )
    return Policy(
        _name(guarded, "ingresses"),
        Resource("networking.k8s.io", "v1", "ingresses", ("CREATE", "UPDATE")),
        (
            *_but_for(guarded.break_glass),
            Named("on-the-host", f"{_is_canary_ingress(guarded)} || {_is_on_the_host(guarded, 'object')}"),
        ),
        (
            *_shares(guarded),
            Named("on", _is_on("variables.new")),
            Named("wasOn", f"oldObject != null && {_is_on('variables.old')}"),
        ),
        (born, second),
    )


def _objects(guarded: Guarded) -> Policy:
    """The CanaryRelease stays while it is needed, and is the only one of its host."""

    def is_ours(thing: str) -> str:
        metadata = f"{thing}.metadata"
        return f"({metadata}.name == {_text(guarded.service)} && {metadata}.namespace == {_text(guarded.namespace)})"

    on_our_host = f"object.spec.host == {_text(guarded.host)}"
    status = "oldObject.?status"
    values = {
        "weight": "oldObject.spec.weight",
        "seen": f"{status}.?weight.orValue(0)",
        "reason": f"{status}.?hold.?reason.orValue('')",
        "host": _text(guarded.host),
        "owner": _text(f"{guarded.namespace}/{guarded.service}"),
    }
    return Policy(
        _name(guarded, "objects"),
        Resource(GROUP, VERSION, PLURAL, ("CREATE", "UPDATE", "DELETE")),
        (
            *_but_for(guarded.break_glass),
            Named(
                "ours-or-of-our-host",
                f"request.operation == 'DELETE' ? {is_ours('oldObject')} : {on_our_host}",
            ),
        ),
        (
            # Who deletes the namespace deletes the Ingress too, so there is nothing left to guard.
            Named(
                "deleted",
                "request.operation == 'DELETE' && !namespaceObject.?metadata.?deletionTimestamp.hasValue()",
            ),
        ),
        (
            Validation(
                f"!(variables.deleted && {status}.?hold.hasValue())",
                _sentence(
                    "the release is held: {reason} (held). Look at the evidence, then run `serinus resume`.", values
                ),
                "held",
            ),
            Validation(
                f"!(variables.deleted && (oldObject.spec.weight > 0 || {status}.?weight.orValue(0) > 0))",
                _sentence(
                    "the canary is live: declared {weight} %, seen {seen} % (live). Bring the weight to 0 first.",
                    values,
                ),
                "live",
            ),
            Validation(
                # Without its object a guard lets every rise pass. So the right to delete the one is the right to
                # delete the other.
                "!variables.deleted || authorizer.group('admissionregistration.k8s.io')"
                ".resource('validatingadmissionpolicies').check('delete').allowed()",
                _text(
                    "the guard needs its object (guarded). "
                    "Set serinus:guard to false and run `pulumi up`: that removes both."
                ),
                "guarded",
            ),
            Validation(
                f"request.operation == 'DELETE' || {is_ours('object')}",
                _sentence(
                    "the host {host} is guarded by the CanaryRelease {owner} already (second-canary). "
                    "Use another host.",
                    values,
                ),
                "second-canary",
            ),
        ),
    )


def _definition(guarded: Guarded) -> Policy:
    """The definition goes last: with it every CanaryRelease of the cluster would go, past all other policies."""
    return Policy(
        _name(guarded, "definition"),
        Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", ("DELETE",)),
        (Named("ours", f"oldObject.metadata.name == {_text(CRD_NAME)}"),),
        (),
        (
            Validation(
                "false",
                _text(
                    f"{guarded.namespace}/{guarded.service} is guarded by an object of this kind (in-use). "
                    "Destroy the guarded stacks first, or set serinus:guard to false in them."
                ),
                "in-use",
            ),
        ),
    )


def _agent(guarded: Guarded) -> Policy:
    """The agent's account may cut and give back, whatever its role would let it do to an Ingress."""
    cut = {share.WEIGHT: "0", share.PATTERN: NOBODY} | dict.fromkeys(share.OPEN_TO_ANYBODY, "")
    allowed = " || ".join(f"(k == {_text(key)} && variables.new[k] == {_text(value)})" for key, value in cut.items())
    same = " && ".join(
        f"object.metadata.?{key} == oldObject.metadata.?{key}" for key in ("labels", "ownerReferences", "finalizers")
    )
    return Policy(
        _name(guarded, "agent"),
        Resource("networking.k8s.io", "v1", "ingresses", ("CREATE", "UPDATE", "DELETE")),
        (Named("agent", f"request.userInfo.username == {_text(guarded.agent_user)}"),),
        tuple(_annotations()),
        (
            Validation(
                f"request.operation == 'UPDATE' && object.spec == oldObject.spec && {same} "
                f"&& variables.new.all(k, variables.old[?k] == optional.of(variables.new[k]) || {allowed}) "
                f"&& variables.old.all(k, k in variables.new || k == {_text(share.WEIGHT)})",
                _text(
                    f"the agent may cut the canary's share to 0 and give the annotations back, nothing else "
                    f"(agent-fence). Weight 0 and the pattern {NOBODY} are a cut."
                ),
                "agent-fence",
            ),
        ),
    )


def _status_there(change: str) -> Validation:
    return Validation(
        f"!variables.{change} || params.?status.hasValue()", _text(str(read_status(None))), "status-missing"
    )


def _validation(
    rule: Rule, change: str = "rises", facts: Mapping[Fact, str] | None = None, *, needs_status: bool
) -> Validation:
    """Render one row of the table: refused when there is such a change and all the row's comparisons hold."""
    expressions = facts or _EXPRESSIONS
    passes = [f"!variables.{change}"]
    if needs_status:
        passes.append("!params.?status.hasValue()")
    if rule.waivable:
        passes.append("variables.overridden")
    refuses = " && ".join(_condition(condition, expressions) for condition in rule.refuses)
    says = _sentence(
        f"{rule.sentence} ({rule.code}). {rule.remedy}", {fact.name: cel for fact, cel in expressions.items()}
    )
    return Validation(f"{' || '.join(passes)} || !({refuses})", says, rule.code)


def _condition(condition: Condition, expressions: Mapping[Fact, str] | None = None) -> str:
    known, right = expressions or _EXPRESSIONS, condition.right
    return (
        f"{known[condition.left]} {condition.operator} {known[right] if isinstance(right, Fact) else _literal(right)}"
    )


# What the rules look at, as CEL. `params` is the CanaryRelease.
_EXPRESSIONS: Mapping[Fact, str] = {
    table.OLD: "variables.oldShare",
    table.NEW: "variables.newShare",
    table.NEXT_RUNG: "variables.nextRung",
    table.LADDER: "variables.rungs",
    table.ON_A_RUNG: "(variables.newShare in variables.rungs)",
    table.SERVICE: "params.spec.service",
    table.STATUS_SERVICE: "params.status.service",
    table.CANARY: "params.spec.canary",
    table.STATUS_CANARY: "params.status.canary",
    table.GENERATION: "params.metadata.generation",
    table.OBSERVED_GENERATION: "params.status.observedGeneration",
    table.AGE_SECONDS: "variables.ageSeconds",
    table.MOST_AGE_SECONDS: str(_FRESHNESS.most_age_seconds),
    table.LEAST_AGE_SECONDS: f"({-_FRESHNESS.most_skew_seconds})",
    table.WEIGHT_SEEN: "params.status.weight",
    table.HELD: "params.status.?hold.hasValue()",
    table.HELD_BECAUSE: "params.status.?hold.?reason.orValue('')",
    table.VERDICT: "params.status.?verdict.orValue('')",
    table.VERDICT_BECAUSE: "variables.because",
    table.BAKED_SECONDS: "double(params.status.?bakedSeconds.orValue(0.0))",
    table.BAKE_SECONDS: "double(variables.bakeSeconds)",
    table.APPROVED: "variables.approved",
    table.ALLOWED_WEIGHT: "params.status.allowedWeight",
    table.BACKEND: "variables.newcomer",
    table.CANARY_BACKEND: "variables.canaryBackend",
}


def _facts_of_the_release() -> Iterator[Named]:
    yield Named("rungs", "params.spec.ladder.map(r, r.weight)")
    yield Named("above", "variables.rungs.filter(w, w > variables.oldShare)")
    yield Named("nextRung", f"size(variables.above) > 0 ? variables.above[0] : {share.EVERYTHING}")
    yield Named("reached", "params.spec.ladder.filter(r, r.weight <= variables.oldShare)")
    yield Named(
        "bakeSeconds",
        "size(variables.reached) > 0 ? variables.reached[size(variables.reached) - 1].?bakeSeconds.orValue(0) : 0",
    )
    yield Named(
        "approved",
        "params.spec.ladder.all(r, !r.?approval.orValue(false) || r.weight <= variables.oldShare "
        "|| r.weight > variables.newShare || params.?status.?approvals.orValue([]).exists(a, a.weight == r.weight))",
    )
    yield from _facts_of_the_status()


def _facts_of_a_swap() -> Iterator[Named]:
    """`succession.newcomers` in CEL: to whom the users would be moved."""

    def behind(thing: str) -> str:
        # A list of lists becomes one list by way of a text: no name of a Service has a comma.
        paths = "r.?http.?paths.orValue([]).map(p, p.?backend.?service.?name.orValue('?')).join(',')"
        named = f"{thing}.spec.?defaultBackend.?service.?name.orValue('?')"
        default = f"({thing}.spec.?defaultBackend.hasValue() ? [{named}] : [])"
        return f"({thing}.spec.?rules.orValue([]).map(r, {paths}) + {default}).join(',').split(',').filter(b, b != '')"

    note = f"[?{_text(PREVIOUS_NOTE)}].orValue('')"
    yield Named("behind", behind("object"))
    # An Ingress that is born anew, after somebody has deleted it, may only be what it was.
    stable = "params.spec.service + '-' + params.spec.stable.substring(0, size(params.spec.stable) - 9)"
    born = f"size(params.spec.stable) > 9 ? [{stable}] : []"
    yield Named("wasBehind", f"oldObject == null ? ({born}) : {behind('oldObject')}")
    yield Named("previous", f"variables.new{note}")
    yield Named("wasPrevious", f"variables.old{note}")
    yield Named("newcomers", "variables.behind.filter(b, !(b in variables.wasBehind) && b != variables.wasPrevious)")
    yield Named("moves", "size(variables.newcomers) > 0")
    yield Named("strangers", "variables.newcomers.filter(b, b != variables.canaryBackend)")
    yield Named("newcomer", "size(variables.strangers) > 0 ? variables.strangers[0] : variables.canaryBackend")
    yield Named("top", "params.spec.ladder[size(params.spec.ladder) - 1]")
    yield Named("topBakeSeconds", "variables.top.?bakeSeconds.orValue(0)")


def _facts_of_the_status() -> Iterator[Named]:
    yield Named(
        "canaryBackend",
        "size(params.spec.canary) > 9 ? "
        "params.spec.service + '-' + params.spec.canary.substring(0, size(params.spec.canary) - 9) : ''",
    )
    yield Named("because", "params.?status.?because.orValue('') == '' ? 'no reason given' : params.status.because")
    # CEL has no clock. But whoever changes a field of the Ingress is noted in it with the API server's own time.
    yield Named(
        "times", "object.metadata.?managedFields.orValue([]).filter(f, has(f.time)).map(f, timestamp(string(f.time)))"
    )
    yield Named(
        "ageSeconds",
        f"size(variables.times) == 0 ? {_TIMELESS} : "
        "double((variables.times.max() - timestamp(string(params.status.observedAt))).getMilliseconds()) / 1000.0",
    )
    yield Named(
        "overridden",
        "params.spec.?override.hasValue() && size(variables.times) > 0 "
        "&& variables.times.max() < timestamp(string(params.spec.override.until))",
    )


def _annotations() -> Iterator[Named]:
    yield Named("new", "object == null ? {} : object.metadata.?annotations.orValue({})")
    yield Named("old", "oldObject == null ? {} : oldObject.metadata.?annotations.orValue({})")


def _shares(guarded: Guarded) -> Iterator[Named]:
    """`share.share` in CEL, for what is asked for and for what is there, and whether the one is more."""
    yield from _annotations()
    for name, digits in (("tens", "0123456789"), ("sixteens", "0123456789abcdef")):
        yield Named(name, f"[{', '.join(_text(digit) for digit in digits)}]")
    for when, annotations in (("new", "variables.new"), ("old", "variables.old")):
        pattern = f"variables.{when}Pattern"
        yield Named(f"{when}Pattern", f"{annotations}[?{_text(share.PATTERN)}].orValue('')")
        yield Named(f"{when}Countable", _is_countable(annotations, pattern))
        # `patterns.percent` in CEL: only what takes digits is counted, and everybody who has the digits, tagged or not.
        cookie, testers = _text(COOKIE_NAMED), _text(TESTERS)
        yield Named(
            f"{when}Taking",
            f"{pattern}.contains({cookie}) ? {pattern}.split({cookie})[1] : {pattern}.replace({testers}, '', 1)",
        )
        taking, digits = f"variables.{when}Taking", f"variables.{when}Digits"
        yield Named(
            digits.removeprefix("variables."), f"{taking}.contains('_') ? {taking}.split('_')[0] + '$' : {taking}"
        )
        tens, sixteens = (
            f"variables.{base}.map(t, size(variables.{base}.filter(o, (t + o).matches({digits})))).sum()"
            for base in ("tens", "sixteens")
        )
        weight = f"int({annotations}[?{_text(share.WEIGHT)}].orValue('0'))"
        yield Named(
            f"{when}Counted",
            f"{weight} + ({pattern} in ['', {_text(NOBODY)}] || {_is_tester(pattern)} ? 0 "
            f": {digits}.contains('(?i:') ? ({sixteens} * 100 + 128) / 256 : {tens})",
        )
    yield Named(
        "newShare",
        f"!{_is_on('variables.new')} ? 0 : !variables.newCountable || variables.newCounted > {share.EVERYTHING} "
        f"? {share.EVERYTHING} : variables.newCounted",
    )
    for when, thing in (("backends", "object"), ("oldBackends", "oldObject")):
        paths = "r.?http.?paths.orValue([]).map(p, p.?backend.?service.?name.orValue(''))"
        yield Named(when, f"{thing} == null ? [] : {thing}.spec.?rules.orValue([]).map(r, {paths})")
    # Another release behind the Ingress, or another host before it, starts from 0: others earned what was there.
    here = f"{_is_canary_ingress(guarded)} || {_is_on_the_host(guarded, 'oldObject')}"
    yield Named(
        "oldShare",
        f"oldObject == null || !({here}) || variables.backends != variables.oldBackends "
        f"|| !{_is_on('variables.old')} || !variables.oldCountable ? 0 "
        f": variables.oldCounted > {share.EVERYTHING} ? {share.EVERYTHING} : variables.oldCounted",
    )
    yield Named("rises", _condition(Condition(table.NEW, ">", table.OLD)))


def _is_countable(annotations: str, pattern: str) -> str:
    def given(key: str, absent: str = "") -> str:
        return f"{annotations}[?{_text(key)}].orValue({_text(absent)})"

    open_to_anybody = " && ".join(f"{given(key)} == ''" for key in share.OPEN_TO_ANYBODY)
    for_testers = f"{given(share.HEADER)} == {_text(share.TESTER_HEADER)}"
    return (
        f"{given(share.WEIGHT, '0')}.matches({_text(f'^({share.A_WEIGHT})$')}) "
        f"&& {given(share.WEIGHT_TOTAL, '100')} == '100' && {open_to_anybody} "
        f"&& ({pattern} == '' ? {given(share.HEADER)} == '' : size({pattern}) <= {share.LONGEST_PATTERN} "
        f"&& ({pattern} == {_text(NOBODY)} || ({_is_tester(pattern)} ? {for_testers} "
        f": {pattern}.matches({_text(f'^(?:{COMPILED.pattern})$')}))))"
    )


def _is_tester(pattern: str) -> str:
    return f"{pattern}.matches({_text(f'^(?:{share.TESTER.pattern})$')})"


def _is_on(annotations: str) -> str:
    off = ", ".join(_text(value) for value in share.OFF)
    return f"!({annotations}[?{_text(share.CANARY)}].orValue('').lowerAscii() in [{off}])"


def _is_canary_ingress(guarded: Guarded) -> str:
    return _is_called(guarded.canary_ingress, guarded.namespace)


def _is_called(name: str, namespace: str) -> str:
    return f"(object.metadata.name == {_text(name)} && object.metadata.namespace == {_text(namespace)})"


def _is_on_the_host(guarded: Guarded, ingress: str) -> str:
    hosts = ", ".join(_text(host) for host in dict.fromkeys((guarded.host, guarded.inner_host or guarded.host)))
    return f"{ingress}.spec.?rules.orValue([]).exists(r, r.?host.orValue('') in [{hosts}])"


def _but_for(group: str) -> Iterator[Named]:
    if group:
        yield Named("not-break-glass", f"!({_text(group)} in request.userInfo.?groups.orValue([]))")


def _name(guarded: Guarded, part: str) -> str:
    # Dots, because neither a service nor a namespace has one: so no two services share a name.
    return f"{part}.{guarded.service}.{guarded.namespace}.{GROUP}"


def _sentence(template: str, values: Mapping[str, str]) -> str:
    """Turn a template with {names} into CEL that fills in the values."""
    text, named = "", []
    for literal, name, _, _ in Formatter().parse(template):
        text += literal.replace("%", "%%")
        if name is not None:
            text += "%s"
            named.append(values[name])
    return f"{_text(text)}.format([{', '.join(named)}])" if named else _text(text.replace("%%", "%"))


def _literal(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    """Write a text as CEL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
