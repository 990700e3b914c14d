import pytest

from tiltyard_jobs.curation.difficulty import combined_score, grade_of


def test_grades_are_the_paper_s() -> None:
    grades = [grade_of(score) for score in range(1, 11)]
    assert grades == ["Poor"] * 2 + ["Average"] * 3 + ["Good"] * 3 + ["Excellent"] * 2


@pytest.mark.parametrize("score", [0, 11, -3])
def test_a_score_out_of_range_is_refused(score: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 10"):
        grade_of(score)
    with pytest.raises(ValueError, match="between 1 and 10"):
        combined_score([5, score])


@pytest.mark.parametrize(
    ("scores", "combined"),
    [([7], 7), ([9, 5], 5), ([2, 9, 8], 8), ([6, None, 8], 6), ([None, None], None), ([], None), ([1, 10, 10, 9], 9)],
)
def test_several_judges_give_the_lower_median(scores: list[int | None], combined: int | None) -> None:
    assert combined_score(scores) == combined
