"""A drill's parts are told in seconds, and what did not happen is not told as zero."""

from serinus.rollout.drill import Heard, Timeline, timeline


def test_every_part_is_told() -> None:
    heard = [
        Heard(99.0, on_canary=True, failed=False),
        Heard(99.5, on_canary=False, failed=True),  # before the injection: not of this drill
        Heard(100.4, on_canary=False, failed=False),
        Heard(100.5, on_canary=False, failed=True),
        Heard(101.5, on_canary=False, failed=True),
        Heard(102.2, on_canary=True, failed=False),
        Heard(103.0, on_canary=False, failed=False),
    ]
    found = timeline(100.0, heard, decided=102.0, cut=102.1)
    assert found.over
    assert found.failed_answers == 2
    assert found.segments() == {
        "fault": 0.5,
        "detect_and_decide": 1.5,
        "cut": 0.1,
        "seen": 0.1,
        "total": 1.7,
    }


def test_what_did_not_come_has_no_seconds() -> None:
    found = timeline(100.0, [], decided=None, cut=None)
    assert not found.over
    assert set(found.segments().values()) == {None}


def test_clocks_that_differ_make_no_time_run_backwards() -> None:
    assert Timeline(100.0, 101.0, decided=100.2, cut=102.0).segments()["detect_and_decide"] == 0.0
