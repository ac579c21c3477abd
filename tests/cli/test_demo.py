"""What the demo makes of what it hears: figures, the picture of a cut, and a stack file that is not the checkout's."""

from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from local import places
from local.errors import LocalError
from local.places import Network
from local.traffic import Answer
from serinus.cli.demo import project
from serinus.cli.demo.picture import picture
from serinus.cli.demo.results import SecondAct, Told, observe, up_seconds
from serinus.cli.demo.second_act import BAD, figures_of
from serinus.rollout.drill import Heard, Timeline, timeline

_SVG = "{http://www.w3.org/2000/svg}"
_BEGIN = 1_800_000_000.0


def answer(at: float, release: str = "v2-fba921f5", status: int = 200) -> Answer:
    return Answer("ada", status, release if status == 200 else "", 0.1, "Ahoy", _BEGIN + at)


def act(broken_at: float, cut_at: float | None, until: float) -> tuple[list[Answer], Timeline]:
    """Four answers of the stable release and one of the canary a second, which fails between the two moments."""
    answers = []
    for second in range(int(until)):
        answers += [answer(second + part / 5) for part in range(4)]
        if cut_at is None or second < cut_at:
            answers.append(answer(second + 0.9, f"{BAD}-0f3a9c21", 500 if second >= broken_at else 200))
    heard = [Heard(one.at, one.failed or one.release.startswith(BAD), one.failed) for one in answers]
    cut = None if cut_at is None else _BEGIN + cut_at
    return answers, timeline(_BEGIN + broken_at, heard, cut, cut)


def test_seconds_count_from_the_first_failed_answer() -> None:
    answers, moments = act(broken_at=10, cut_at=15, until=20)
    figures = figures_of(moments, _BEGIN + 15.2, answers, stopped=True, because="errors: 5 of 15")
    assert (figures.cut_s, figures.gateway_s, figures.fault_to_zero_s) == (4.1, 4.3, 4.0)
    assert (figures.failed, figures.requests) == (5, 95)
    assert figures.well


@pytest.mark.parametrize("lacks", [{"cut_s": None}, {"fault_to_zero_s": None}, {"promoter_stopped": False}])
def test_an_act_without_a_cut_did_not_go_well(lacks: dict[str, bool | None]) -> None:
    answers, moments = act(broken_at=10, cut_at=15, until=20)
    figures = figures_of(moments, _BEGIN + 15.2, answers, stopped=True, because="errors")
    assert not SecondAct(**{**asdict(figures), **lacks}).well


@pytest.mark.parametrize("cut_at", [15.0, None])
def test_the_picture_shows_traffic_and_errors_with_the_cut(cut_at: float | None) -> None:
    answers, moments = act(broken_at=10, cut_at=cut_at, until=20)
    figures = figures_of(moments, None, answers, stopped=True, because="errors")
    root = ElementTree.fromstring(picture(answers, moments, figures, _BEGIN))  # noqa: S314 (our own text)
    charts = root.findall(f"{_SVG}svg")
    assert [chart.findtext(f"{_SVG}title") for chart in charts] == ["traffic", "errors"]
    told = {text.text for chart in charts for text in chart.iter(f"{_SVG}text")}
    assert "1 first failed" in told
    assert ("2 cut" in told) is (cut_at is not None)
    # Nothing is drawn outside of the paper.
    height = float(root.attrib["height"])
    assert all(float(chart.attrib["y"]) + float(chart.attrib["height"]) <= height for chart in charts)


def test_the_picture_of_an_act_without_an_answer_is_drawn_too() -> None:
    figures = figures_of(Timeline(_BEGIN), None, [], stopped=False, because="")
    assert ElementTree.fromstring(picture([], Timeline(_BEGIN), figures, _BEGIN)) is not None  # noqa: S314 (ours)


def test_a_step_counts_the_answers_of_its_canary_only() -> None:
    answers = [answer(0), replace(answer(1, "v2-1-fba921f5"), user="ben"), answer(2, "v1-0f3a9c21"), answer(3, "", 502)]
    step = observe(20, answers, "v2", 2.34)
    assert (step.requests, step.canary_requests, step.failed, step.up_seconds) == (4, 1, 1, 2.3)
    assert step.observed_share == 25.0


def test_the_seconds_of_an_update_are_those_of_the_last_one_that_went_well() -> None:
    lines = [
        {"event": "update", "sentence": "pulumi up: weight 20 %"},
        {"event": "updated", "sentence": "…", "ok": True, "seconds": 2.5},
        {"event": "updated", "sentence": "…", "ok": False, "seconds": 9.0},
        {"event": "waiting", "sentence": "…", "seconds": None},
        {"event": "end", "sentence": "stopped at 20 %", "exit": 3, "remedy": ""},
    ]
    told = [Told.of(line) for line in lines]
    assert up_seconds(told) == 2.5
    assert up_seconds(told[:1]) == 0.0
    assert [one.code for one in told] == [0, 0, 0, 0, 3]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the dev stack's files."""
    (tmp_path / "policies").mkdir()
    for part in ("Pulumi.yaml", "Pulumi.dev.yaml", "policies/dev.json"):
        (tmp_path / part).write_text((places.ROOT / part).read_text())
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(project, "FOLDER", tmp_path / "build" / "demo")
    return tmp_path


def test_the_demo_has_a_stack_file_of_its_own(checkout: Path) -> None:
    before = (checkout / "Pulumi.dev.yaml").read_text()
    made = project.Project("dev", Network("10.231.0.0/16"))
    file = checkout / "build" / "demo" / "Pulumi.demo.yaml"
    config = yaml.safe_load(file.read_text())["config"]
    assert (config["serinus:weight"], config["serinus:namespace"]) == (0, project.NAMESPACE)
    assert (made.names.stable, made.names.canary, made.names.host) == ("v1", "v2", "demo.chat.serinus.test")
    assert file.stat().st_mode & 0o077 == 0
    assert (checkout / "Pulumi.dev.yaml").read_text() == before

    # The agent keeps its token: another one would restart what knows it.
    project.Project("dev", Network("10.231.0.0/16"))
    assert yaml.safe_load(file.read_text())["config"]["serinus:agentToken"] == config["serinus:agentToken"]


def test_a_cluster_of_ones_own_needs_an_agent(checkout: Path) -> None:
    with pytest.raises(LocalError, match="no serinus:agent"):
        project.Project("dev", None)
    with pytest.raises(LocalError, match=r"no Pulumi\.elsewhere\.yaml"):
        project.Project("elsewhere", None)
