"""Users are dealt evenly, keep their bucket, and are never moved back by a growing share."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.buckets import ALONE, BUCKETS, Lane, bucket_of, label, lanes

users = st.text()
shares = st.integers(0, 100)


@given(users, st.text())
def test_every_user_has_one_bucket(user: str, salt: str) -> None:
    assert bucket_of(user, salt) == bucket_of(user, salt) in range(BUCKETS)


def test_the_bucket_is_pinned_so_that_other_implementations_can_agree() -> None:
    assert [bucket_of(user, "chat") for user in ("ada", "grace", "你好")] == [18, 22, 67]


def test_users_are_dealt_evenly() -> None:
    dealt = Counter(bucket_of(f"user-{number}", "chat") for number in range(50_000))
    assert len(dealt) == BUCKETS
    assert all(abs(count - 500) < 5 * 500**0.5 for count in dealt.values())


def test_another_salt_deals_anew() -> None:
    both = sum(bucket_of(str(user), "a") < 5 and bucket_of(str(user), "b") < 5 for user in range(20_000))
    assert both == pytest.approx(20_000 * 0.05 * 0.05, rel=0.5)


@given(shares, shares)
def test_a_growing_share_moves_nobody_back(one: int, other: int) -> None:
    assert set(ALONE.range(min(one, other))) <= set(ALONE.range(max(one, other)))
    assert len(ALONE.range(one)) == one


@given(st.dictionaries(st.text(), st.integers(1, 20), max_size=5), st.data())
def test_several_canaries_never_share_a_user(most: dict[str, int], data: st.DataObject) -> None:
    taken = [bucket for lane in lanes(most).values() for bucket in lane.range(data.draw(st.integers(0, lane.most)))]
    assert len(taken) == len(set(taken))
    assert set(taken) <= set(range(BUCKETS))


def test_lanes_follow_each_other() -> None:
    assert lanes({"b": 5, "c": 15}) == {"b": Lane(0, 5), "c": Lane(5, 15)}
    assert list(lanes({"b": 5, "c": 15})["c"].range(3)) == [5, 6, 7]


@pytest.mark.parametrize("most", [{"b": 60, "c": 41}, {"b": 0}, {"b": -5, "c": 50}])
def test_lanes_that_do_not_fit_are_refused(most: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="don't fit"):
        lanes(most)


def test_lanes_may_fill_everything() -> None:
    assert lanes({"b": 60, "c": 40})["c"] == Lane(60, 40)


@pytest.mark.parametrize("share", [-1, 6])
def test_a_share_beyond_its_lane_is_refused(share: int) -> None:
    with pytest.raises(ValueError, match="allowed: 0 to 5"):
        Lane(10, 5).range(share)


def test_a_label_has_two_digits_and_perhaps_a_tag() -> None:
    assert (label(7), label(67, "VIP")) == ("07", "67_VIP")


@pytest.mark.parametrize(("bucket", "tag"), [(100, ""), (-1, ""), (5, "V|P"), (5, "V P"), (5, "_")])
def test_a_label_that_could_mean_something_else_is_refused(bucket: int, tag: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        label(bucket, tag)
