"""What an Ingress gives its canary, as CEL: `share.share` for what is asked for and for what is there."""

from collections.abc import Iterator

from serinus.rollout import rules as table
from serinus.rollout import share
from serinus.rollout.admission.cel import text
from serinus.rollout.admission.guarded import Guarded
from serinus.rollout.admission.policy import Named
from serinus.rollout.admission.table import condition
from serinus.rollout.patterns import COMPILED, COOKIE_NAMED, NOBODY, TESTERS
from serinus.rollout.rules import Condition


def annotations_of_both() -> Iterator[Named]:
    """The annotations that are asked for, and those that are there."""
    yield Named("new", "object == null ? {} : object.metadata.?annotations.orValue({})")
    yield Named("old", "oldObject == null ? {} : oldObject.metadata.?annotations.orValue({})")


def shares(guarded: Guarded) -> Iterator[Named]:
    """`share.share` in CEL, for what is asked for and for what is there, and whether the one is more."""
    yield from annotations_of_both()
    for name, digits in (("tens", "0123456789"), ("sixteens", "0123456789abcdef")):
        yield Named(name, f"[{', '.join(text(digit) for digit in digits)}]")
    for when, annotations in (("new", "variables.new"), ("old", "variables.old")):
        pattern = f"variables.{when}Pattern"
        yield Named(f"{when}Pattern", f"{annotations}[?{text(share.PATTERN)}].orValue('')")
        yield Named(f"{when}Countable", _is_countable(annotations, pattern))
        # `patterns.percent` in CEL: only what takes digits is counted, and everybody who has the digits, tagged or not.
        cookie, testers = text(COOKIE_NAMED), text(TESTERS)
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
        weight = f"int({annotations}[?{text(share.WEIGHT)}].orValue('0'))"
        yield Named(
            f"{when}Counted",
            f"{weight} + ({pattern} in ['', {text(NOBODY)}] || {_is_tester(pattern)} ? 0 "
            f": {digits}.contains('(?i:') ? ({sixteens} * 100 + 128) / 256 : {tens})",
        )
    yield Named(
        "newShare",
        f"!{is_on('variables.new')} ? 0 : !variables.newCountable || variables.newCounted > {share.EVERYTHING} "
        f"? {share.EVERYTHING} : variables.newCounted",
    )
    for when, thing in (("backends", "object"), ("oldBackends", "oldObject")):
        paths = "r.?http.?paths.orValue([]).map(p, p.?backend.?service.?name.orValue(''))"
        yield Named(when, f"{thing} == null ? [] : {thing}.spec.?rules.orValue([]).map(r, {paths})")
    # Another release behind the Ingress, or another host before it, starts from 0: others earned what was there.
    here = f"{is_canary_ingress(guarded)} || {is_on_the_host(guarded, 'oldObject')}"
    yield Named(
        "oldShare",
        f"oldObject == null || !({here}) || variables.backends != variables.oldBackends "
        f"|| !{is_on('variables.old')} || !variables.oldCountable ? 0 "
        f": variables.oldCounted > {share.EVERYTHING} ? {share.EVERYTHING} : variables.oldCounted",
    )
    yield Named("rises", condition(Condition(table.NEW, ">", table.OLD)))


def _is_countable(annotations: str, pattern: str) -> str:
    def given(key: str, absent: str = "") -> str:
        return f"{annotations}[?{text(key)}].orValue({text(absent)})"

    open_to_anybody = " && ".join(f"{given(key)} == ''" for key in share.OPEN_TO_ANYBODY)
    for_testers = f"{given(share.HEADER)} == {text(share.TESTER_HEADER)}"
    return (
        f"{given(share.WEIGHT, '0')}.matches({text(f'^({share.A_WEIGHT})$')}) "
        f"&& {given(share.WEIGHT_TOTAL, '100')} == '100' && {open_to_anybody} "
        f"&& ({pattern} == '' ? {given(share.HEADER)} == '' : size({pattern}) <= {share.LONGEST_PATTERN} "
        f"&& ({pattern} == {text(NOBODY)} || ({_is_tester(pattern)} ? {for_testers} "
        f": {pattern}.matches({text(f'^(?:{COMPILED.pattern})$')}))))"
    )


def _is_tester(pattern: str) -> str:
    return f"{pattern}.matches({text(f'^(?:{share.TESTER.pattern})$')})"


def is_on(annotations: str) -> str:
    """Whether an Ingress with these annotations is a canary's."""
    off = ", ".join(text(value) for value in share.OFF)
    return f"!({annotations}[?{text(share.CANARY)}].orValue('').lowerAscii() in [{off}])"


def is_canary_ingress(guarded: Guarded) -> str:
    """Whether the object is the one Ingress that may hold the canary's share."""
    return is_called(guarded.canary_ingress, guarded.namespace)


def is_called(name: str, namespace: str) -> str:
    """Whether the object has this name."""
    return f"(object.metadata.name == {text(name)} && object.metadata.namespace == {text(namespace)})"


def is_on_the_host(guarded: Guarded, ingress: str) -> str:
    """Whether an Ingress stands before the service's users."""
    hosts = ", ".join(text(host) for host in dict.fromkeys((guarded.host, guarded.inner_host or guarded.host)))
    return f"{ingress}.spec.?rules.orValue([]).exists(r, r.?host.orValue('') in [{hosts}])"
