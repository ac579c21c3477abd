"""Every share and range, as a real RE2 engine reads its pattern."""

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus.rollout.buckets import ALONE, BUCKETS, label, lanes
from serinus.rollout.patterns import (
    NOBODY,
    PatternError,
    Tail,
    bucket_pattern,
    cookie_pattern,
    percent,
    tail_pattern,
    taken,
    word_pattern,
)

shares = st.integers(0, 100)
ranges = st.tuples(shares, shares).map(lambda ends: range(min(ends), max(ends)))
tags = st.lists(st.from_regex(r"[A-Za-z0-9-]{1,8}", fullmatch=True), unique=True, max_size=3)
tails = st.builds(Tail, st.sampled_from([10, 16]), st.just(3))
two_digits = st.builds(Tail, st.sampled_from([10, 16]), st.just(2))


def matched(pattern: str, values: list[str]) -> set[str]:
    """What a gateway takes: it searches, so only anchors in the pattern itself anchor it."""
    compiled = re2.compile(pattern)
    return {value for value in values if compiled.search(value)}


@pytest.mark.parametrize(
    ("share", "pattern"),
    [
        (0, "a^"),
        (1, "^00$"),
        (2, "^0[01]$"),
        (5, "^0[0-4]$"),
        (10, "^0[0-9]$"),
        (20, "^[01][0-9]$"),
        (37, "^([0-2][0-9]|3[0-6])$"),
        (50, "^[0-4][0-9]$"),
        (99, "^([0-8][0-9]|9[0-8])$"),
        (100, "^[0-9]{2}$"),
    ],
)
def test_a_share_has_a_short_pattern(share: int, pattern: str) -> None:
    assert bucket_pattern(ALONE.range(share)) == pattern


@given(ranges)
def test_a_pattern_takes_exactly_its_buckets(buckets: range) -> None:
    everything = [label(bucket) for bucket in range(BUCKETS)]
    assert matched(bucket_pattern(buckets), everything) == {label(bucket) for bucket in buckets}


@given(ranges, st.text(st.sampled_from("0123456789_aA|^$\n"), max_size=5))
def test_a_pattern_takes_nothing_else(buckets: range, value: str) -> None:
    if value not in {label(bucket) for bucket in buckets}:
        assert matched(bucket_pattern(buckets), [value]) == set()


@given(ranges, tags)
def test_a_pattern_is_understood_again(buckets: range, tags: list[str]) -> None:
    pattern = bucket_pattern(buckets, tags)
    for tag in tags or [""]:
        assert taken(pattern, tag) == set(buckets)
    assert taken(pattern, "nobodys") == set()


def test_a_range_needs_as_few_alternatives_as_its_edges() -> None:
    for start in range(BUCKETS):
        for stop in range(start + 1, BUCKETS + 1):
            edges = bool(start % 10) + bool(stop % 10)
            whole_rows = stop // 10 > -(-start // 10)
            one_row = start // 10 == (stop - 1) // 10
            assert bucket_pattern(range(start, stop)).count("|") + 1 == (1 if one_row else edges + whole_rows)


@given(shares, shares)
def test_a_growing_share_moves_nobody_back(one: int, other: int) -> None:
    less, more = (bucket_pattern(ALONE.range(share)) for share in sorted((one, other)))
    assert taken(less) <= taken(more)


def test_a_second_dimension_takes_only_its_users() -> None:
    pattern = bucket_pattern(ALONE.range(5), ["VIP"])
    assert pattern == "^0[0-4]_VIP$"
    assert matched(pattern, ["04_VIP", "05_VIP", "04", "04_NEW", "104_VIP", "04_VIP2"]) == {"04_VIP"}
    assert bucket_pattern(ALONE.range(5), ["VIP", "NEW"]) == "^0[0-4]_(VIP|NEW)$"


def test_several_canaries_have_disjoint_patterns() -> None:
    everything = [label(bucket) for bucket in range(BUCKETS)]
    split = lanes({"b": 15, "c": 30})
    b, c = (matched(bucket_pattern(split[name].range(split[name].most)), everything) for name in ("b", "c"))
    assert (len(b), len(c), b & c) == (15, 30, set())


def test_nobody_is_nobody_whatever_a_client_sends() -> None:
    assert bucket_pattern(range(0)) == tail_pattern(Tail(10, 2), 0) == NOBODY
    assert matched(NOBODY, ["", "a", "a^", "^", "00", "never", "always", "a\n"]) == set()
    assert taken(NOBODY) == set()


@settings(max_examples=30)
@given(tails, shares)
def test_a_tail_takes_exactly_its_share_of_ids_in_either_case(tail: Tail, share: int) -> None:
    digits = "d" if tail.base == 10 else "x"
    ids = [f"user-{number:0{tail.width}{digits}}" for number in range(tail.size)]
    lower, upper = (matched(tail_pattern(tail, share), [case(one) for one in ids]) for case in (str.lower, str.upper))
    assert lower == set(ids[: tail.count(share)])
    assert {one.lower() for one in upper} == lower
    assert abs(100 * len(lower) / tail.size - share) <= 0.1


@given(tails, shares, shares)
def test_a_growing_tail_moves_nobody_back(tail: Tail, one: int, other: int) -> None:
    assert tail.count(min(one, other)) <= tail.count(max(one, other))


@pytest.mark.parametrize(
    ("tail", "share", "pattern"),
    [
        (Tail(10, 1), 50, "[0-4]$"),
        (Tail(10, 2), 5, "0[0-4]$"),
        (Tail(16, 2), 5, "(?i:0[0-9a-c])$"),
        (Tail(16, 2), 20, "(?i:[0-2][0-9a-f]|3[0-2])$"),
        (Tail(16, 2), 75, "(?i:[0-9ab][0-9a-f])$"),
        (Tail(16, 2), 100, "(?i:[0-9a-f]{2})$"),
        (Tail(10, 4), 5, "0[0-4][0-9]{2}$"),
    ],
)
def test_a_tail_has_a_short_pattern(tail: Tail, share: int, pattern: str) -> None:
    assert tail_pattern(tail, share) == pattern


def test_no_pattern_is_longer_than_the_admission_policy_reads() -> None:
    longest = max(len(tail_pattern(Tail(16, 4), share)) for share in range(101))
    assert longest <= 256


@pytest.mark.parametrize(("tail", "share"), [(Tail(10, 1), 5), (Tail(16, 1), 5), (Tail(10, 2), 101), (Tail(10, 2), -1)])
def test_a_share_that_a_tail_cannot_express_is_refused(tail: Tail, share: int) -> None:
    with pytest.raises(PatternError, match="use a tail of more digits"):
        tail_pattern(tail, share)


@pytest.mark.parametrize(("base", "width"), [(8, 2), (10, 0), (16, 5)])
def test_a_tail_of_another_kind_is_refused(base: int, width: int) -> None:
    with pytest.raises(PatternError, match="allowed"):
        Tail(base, width)


@pytest.mark.parametrize("tag", ["V|P", "V P", ".*", "VIP$"])
def test_a_tag_that_is_a_pattern_itself_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="can't be used"):
        bucket_pattern(range(5), [tag])


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "0[0-4]",
        "^0[0-4]",
        "0[0-4]$",
        "00-04",
        "(",
        "^(?!0)",
        "^.*$",
        r"^\d\d$",
        "^0[0-4]$|x",
        "^[4-0]0$",
        "^0[0-4]_.*$",
        # Of another length than buckets and tails have, or of letters where none are.
        "^[0-9]$",
        "^0[0-9]{2}$",
        "0[0-4][0-9]{2}$",
        "[a-f]$",
        "^tester$",
        "^0[0-4]$|^tester$",
        "(^|;\\s*)u.d=[^;]*0[0-4](;|$)",
    ],
)
def test_a_pattern_of_another_hand_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match=r"not a compiled one|broken"):
        taken(pattern)


@given(ranges, tags, st.booleans())
def test_buckets_are_counted_tagged_or_not_and_testers_are_not(buckets: range, tags: list[str], testers: bool) -> None:
    assert percent(bucket_pattern(buckets, tags, testers)) == len(buckets)


@given(two_digits, shares)
def test_a_tail_is_counted_as_the_share_that_it_was_made_from(tail: Tail, share: int) -> None:
    try:
        patterns = [tail_pattern(tail, share), tail_pattern(tail, share, ["VIP"]), cookie_pattern("uid", tail, share)]
    except PatternError:
        return
    assert [percent(pattern) for pattern in patterns] == [share] * 3


def test_a_single_digit_is_counted() -> None:
    assert (percent(tail_pattern(Tail(10, 1), 50)), percent(tail_pattern(Tail(16, 1), 25))) == (50, 25)


def test_testers_come_on_top_of_the_buckets_but_not_without_them() -> None:
    pattern = bucket_pattern(ALONE.range(5), ["VIP"], testers=True)
    values = ["tester", "04_VIP", "04", "05_VIP", "tester_VIP", "xtester", "testers"]
    assert matched(pattern, values) == {"tester", "04_VIP"}
    assert bucket_pattern(range(0), testers=True) == NOBODY


@settings(max_examples=30)
@given(two_digits, st.sampled_from([5, 20, 50, 100]))
def test_a_cookies_tail_takes_what_the_same_tail_of_a_header_takes(tail: Tail, share: int) -> None:
    ids = [f"a{number:0{tail.width}{'d' if tail.base == 10 else 'x'}}" for number in range(tail.size)]
    cookies = [f"theme=dark00; uid={one}; lang=zz" for one in ids]
    taken_ids = matched(tail_pattern(tail, share), ids)
    assert matched(cookie_pattern("uid", tail, share), cookies) == {
        cookie for cookie, one in zip(cookies, ids, strict=True) if one in taken_ids
    }


@pytest.mark.parametrize("cookie", ["uid=a99", "xuid=a00", "uid=a00x", "id=a00", "uid=a99; uidx=a00", ""])
def test_another_cookie_is_not_taken(cookie: str) -> None:
    assert matched(cookie_pattern("uid", Tail(10, 2), 5), [cookie]) == set()


@pytest.mark.parametrize("name", ["", "u.d", "uid=", "a b", "x" * 65])
def test_a_cookie_whose_name_is_a_pattern_itself_is_refused(name: str) -> None:
    with pytest.raises(PatternError, match="can't be used"):
        cookie_pattern(name, Tail(10, 2), 5)


@pytest.mark.parametrize("word", ["", "abc", "00-04", "a.b.c", "4444", "word-", "x" * 65])
def test_a_testers_word_that_could_be_a_share_is_refused(word: str) -> None:
    with pytest.raises(PatternError, match="can't be used"):
        word_pattern(word)


def test_a_testers_word_takes_who_knows_it() -> None:
    assert matched(word_pattern("face-it"), ["face-it", "face-it2", "FACE-IT", "00"]) == {"face-it"}
    assert percent(word_pattern("face-it")) == 0
