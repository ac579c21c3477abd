"""The real language model, as a real pod, behind the real gateway."""

from tests.cluster.conftest import Project


def test_two_releases_of_the_real_model_answer_in_their_own_words(project: Project) -> None:
    ladder = [{"weight": 5}, {"weight": 50}, {"weight": 100}]
    project.write_settings(stable="v1", canary="v2", weight=5, ladder=ladder)
    assert project.stack.up().ok
    project.up_at(50)
    answers = project.client().ask_all(
        [f"user-{n}" for n in range(8)], ["What is the capital of France?"], concurrency=4
    )
    assert [answer for answer in answers if answer.failed] == []
    texts = {answer.release.partition("-")[0]: answer.text for answer in answers}
    assert set(texts) == {"v1", "v2"}
    assert "Paris" in texts["v1"]
    assert texts["v1"] != texts["v2"]
