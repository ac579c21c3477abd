"""The labels of decisions tell of each one, and none lies upon another, however fast they came."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout.report_labels import Decision, labels

WIDTH = 860.0
LEAST_SIGN = 6.0  # a browser's bold sign of 11 pixels, measured


def told(*places: tuple[float, str]) -> list[str]:
    decisions = [Decision(x, number, verdict) for number, (x, verdict) in enumerate(places, 1)]
    return [label.text for label in labels(decisions, WIDTH)]


def test_decisions_with_room_have_labels_of_their_own() -> None:
    assert told((100.0, ""), (105.0, "pass"), (400.0, "fail")) == ["1", "2 pass", "3 fail"]


def test_decisions_within_seconds_share_a_label_with_the_last_verdict() -> None:
    assert told((100.0, ""), (101.0, "pass"), (102.0, "pass"), (103.0, "fail"), (600.0, "pass")) == [
        "1-3 pass",
        "4 fail",
        "5 pass",
    ]


@given(
    st.lists(st.tuples(st.floats(62.0, 846.0), st.sampled_from(["", "pass", "fail", "insufficient"])), max_size=60),
)
def test_no_label_lies_upon_another_and_no_decision_is_left_out(places: list[tuple[float, str]]) -> None:
    found = labels([Decision(x, number, verdict) for number, (x, verdict) in enumerate(places)], WIDTH)
    assert sorted(one.number for label in found for one in label.decisions) == list(range(len(places)))
    for one, other in combinations(found, 2):
        if one.row == other.row:
            assert abs(one.x - other.x) >= LEAST_SIGN * (len(one.text) + len(other.text)) / 2
    assert all(label.x - LEAST_SIGN * len(label.text) / 2 >= 0 for label in found)
