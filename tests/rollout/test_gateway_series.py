import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.rollout import gateway_series
from serinus.rollout.evidence import Arms, Counts, Tally
from serinus.rollout.gateway_series import ERRORS, SLOW, GarbageError, Names, names, sort

ARMS = names("llm", "chat", "v1-3-0123abcd")


def read(page: str, arms: Names, slow_seconds: float | None = None) -> Counts:
    return gateway_series.read(sort(page), arms, slow_seconds)


def page(service: str, codes: dict[str, int], within_two: int | None = None) -> str:
    lines = []
    for code, count in codes.items():
        labels = f'code="{code}",method="POST",protocol="http",service="{service}"'
        lines.append(f"traefik_service_requests_total{{{labels}}} {count}")
        lines.append(f"traefik_service_request_duration_seconds_count{{{labels}}} {count}")
        timed = count if within_two is None else within_two
        for bound, value in (("2", timed), ("+Inf", count)):
            more = labels.replace(",protocol", f',le="{bound}",protocol')
            lines.append(f"traefik_service_request_duration_seconds_bucket{{{more}}} {value}")
    return "\n".join(lines) + "\n"


BOTH = page(ARMS.stable, {"200": 80, "502": 1, "499": 7}) + page(ARMS.canary, {"200": 15, "500": 5}, within_two=5)


def test_the_arms_are_named_after_the_stable_release_only() -> None:
    assert ARMS == (
        "llm-chat-stable-chat-v1-3-http-canary@kubernetesingressnginx",
        "llm-chat-stable-chat-v1-3-http@kubernetesingressnginx",
    )


def test_errors_are_answers_of_the_server_and_whoever_hung_up_says_nothing() -> None:
    foreign = page("another-service@docker", {"200": 9})
    assert read(foreign + BOTH, ARMS) == {ERRORS: Arms(Tally(20, 5), Tally(81, 1))}


def test_slow_is_what_took_longer_than_a_bound_of_the_gateway() -> None:
    assert read(BOTH, ARMS, 2.0)[SLOW] == Arms(Tally(20, 10), Tally(88, 0))
    assert SLOW not in read(BOTH, ARMS, 2.5)


def test_an_arm_that_was_never_asked_has_counted_nothing() -> None:
    assert read("", ARMS, 2.0) == {ERRORS: Arms(), SLOW: Arms()}


LINES = BOTH.splitlines()
NO_COUNTS = ("NaN", "-1", "+Inf", "1e300", "x")


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(BOTH[:-30], id="cut short within a line"),
        pytest.param("\n".join(LINES[1:]) + "\n", id="a request that was not counted"),
        pytest.param("\n".join(line for line in LINES if "_count" not in line) + "\n", id="never timed"),
        pytest.param(BOTH + LINES[0] + "\n", id="the same series twice"),
        *(
            pytest.param(BOTH.replace("} 80\n", f"}} {word}\n"), id=word)
            for word in ("NaN", "-1", "+Inf", "1e300", "x")
        ),
        pytest.param(BOTH.replace('_bucket{code="500"', '_bucket{ code="500"').replace("} 5\n", "} 50\n"), id="no sum"),
    ],
)
def test_half_a_page_is_no_reading(spoilt: str) -> None:
    with pytest.raises(GarbageError):
        read(spoilt, ARMS, 2.0)


@given(st.text(max_size=300), st.integers(0, 40))
def test_whatever_comes_is_a_reading_or_garbage(noise: str, place: int) -> None:
    lines = list(LINES)
    lines.insert(min(place, len(lines)), noise)
    try:
        found = read("\n".join(lines) + "\n", ARMS, 2.0)
    except GarbageError:
        return
    assert all(arm.bad <= arm.total for arms in found.values() for arm in arms)
