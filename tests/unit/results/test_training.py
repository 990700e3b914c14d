from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipes import PlayerRecipe, SourceRecipe
from tiltyard_jobs.contracts.vocabulary import Flag, Tied
from tiltyard_jobs.results.answered import AnsweredInstruction
from tiltyard_jobs.results.run_tables import PREFERENCE, SFT
from tiltyard_jobs.results.training_rows import Selection, preference_row, select, sft_row

PLAYERS = tuple(PlayerRecipe(name=name, model=ModelIdentity(uri=f"hf://lab/{name}")) for name in ("a", "b", "c", "d"))
LEAK = "leak"


def instruction(
    scores: list[float | None], *, texts: list[str] | None = None, finish: str = "stop"
) -> AnsweredInstruction:
    """An instruction of a's; the first of the highest scores is gold, None is a void answer."""
    known = sorted((score for score in scores if score is not None), reverse=True)
    best = scores.index(known[0]) if known else -1
    margin = round(known[0] - known[1], 6) if len(known) > 1 else None
    return AnsweredInstruction(
        attacker=PLAYERS[0],
        curated={"instruction_id": "i", "instruction": "Do.", "score": 7, "grade": "Good", "task_type": "Other"},
        mined={},
        answers=[
            {"answer": None if score is None else (texts or ["w", "x", "y", "z"])[place], "finish_reason": finish}
            for place, score in enumerate(scores)
        ],
        scores=[
            {
                "score": score,
                "gold": place == best,
                "margin": margin if place == best else None,
                "votes": 1.0,
                "verdicts": 2,
                "quorum": True,
            }
            for place, score in enumerate(scores)
        ],
    )


def chosen(
    made: AnsweredInstruction,
    players: tuple[PlayerRecipe, ...] = PLAYERS,
    *,
    min_margin: float = 0.0,
    tied: Tied = "Skip",
    contaminated: str | None = None,
    source: SourceRecipe | None = None,
    allowed: tuple[str, ...] = (),
    flags: tuple[tuple[Flag, ...], ...] = ((),) * 4,
    drop: tuple[Flag, ...] = (),
) -> Selection:
    return select(
        made,
        players,
        min_margin=min_margin,
        tied=tied,
        contaminated=contaminated,
        repeats=lambda answer: "bench" if answer == LEAK else None,
        source=source,
        allowed=allowed,
        flags=flags,
        drop=drop,
    )


@pytest.mark.parametrize(
    ("made", "options", "cut"),
    [
        (instruction([None] * 4), {}, "NoGold"),
        (instruction([None] * 4), {"contaminated": "mbpp"}, "NoGold"),
        (instruction([0.9, 0.1, None, None]), {"contaminated": "mbpp"}, "Contaminated:mbpp"),
        (instruction([0.9, 0.1, None, None], texts=[LEAK] * 4, finish="length"), {}, "Contaminated:bench"),
        (instruction([0.9, 0.8, None, None], finish="length"), {"min_margin": 0.5}, "Truncated"),
        (instruction([0.9, 0.8, None, None]), {"min_margin": 0.2}, "Margin"),
        (instruction([0.9, 0.7, None, None]), {"min_margin": 0.2}, None),
        (instruction([0.9, None, None, None]), {"min_margin": 0.1}, "Margin"),
        (instruction([0.5, 0.5, None, None]), {}, "Tied"),
        (instruction([0.5, 0.5, None, None]), {"tied": "Keep"}, None),
        (instruction([0.5, 0.5, None, None]), {"min_margin": 0.1, "tied": "Keep"}, "Margin"),
    ],
)
def test_the_first_reason_that_holds(made: AnsweredInstruction, options: dict[str, Any], cut: str | None) -> None:
    assert chosen(made, **options).cut == cut


def test_the_lowest_judged_answer_is_rejected() -> None:
    selection = chosen(instruction([0.5, 0.2, None, 0.2]))
    assert selection.gold is not None
    assert selection.rejected is not None
    assert (selection.gold.author.name, selection.rejected.author.name) == ("a", "b")


def test_a_leak_in_the_rejected_answer_spares_the_other_row() -> None:
    selection = chosen(instruction([0.5, 0.2, None, None], texts=["x", LEAK, "", ""]))
    assert (selection.cut, selection.preference_cut) == (None, "Contaminated:bench")
    assert selection.rejected is None


def test_a_row_is_left_out_for_a_licence_that_is_not_allowed() -> None:
    made = instruction([0.9, 0.1, None, None])

    def cuts(*allowed: str, source: str = "cc0-1.0") -> tuple[str | None, str | None]:
        players = (PLAYERS[0].model_copy(update={"license": "Apache-2.0"}), *PLAYERS[1:])
        selection = chosen(made, players, source=SourceRecipe(license=source), allowed=allowed)
        return selection.cut, selection.preference_cut

    assert cuts() == (None, None)
    assert cuts("mit", "cc0-1.0") == ("License:apache-2.0", None)
    assert cuts("apache-2.0", "cc0-1.0") == (None, "License:unknown")
    assert cuts("apache-2.0", "cc0-1.0", "unknown") == (None, None)
    assert cuts("apache-2.0", "unknown", source="My own") == ("License:other", None)


def test_a_given_instruction_has_no_author_among_the_players() -> None:
    made = instruction([0.9, 0.1, None, None])
    selection = chosen(made)
    assert selection.gold is not None
    assert selection.rejected is not None
    mined = sft_row(made, selection.gold, "t", None, ())
    assert (mined["attacker"], mined["attacker_uri"]) == (made.attacker.name, made.attacker.model.uri)
    source = SourceRecipe(license="CC-BY-NC-4.0")
    for row in (
        sft_row(made, selection.gold, "t", source, ()),
        preference_row(made, selection.gold, selection.rejected, "t", source, ()),
    ):
        assert row["attacker"] == made.attacker.name
        assert not {"attacker_uri", "attacker_revision", "attacker_license"} & row.keys()
        assert row["row_license"] == "cc-by-nc-4.0 AND unknown"


@settings(deadline=None)
@given(
    scores=st.lists(st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=4, max_size=4),
    texts=st.lists(st.sampled_from(["", "x", LEAK]), min_size=4, max_size=4),
    finish=st.sampled_from(["stop", "length"]),
    min_margin=st.sampled_from([0.0, 0.25, 1.0]),
    contaminated=st.none() | st.just("mbpp"),
)
def test_what_is_chosen_is_sound(
    scores: list[float | None], texts: list[str], finish: str, min_margin: float, contaminated: str | None
) -> None:
    made = instruction(scores, texts=texts, finish=finish)
    selection = chosen(made, min_margin=min_margin, contaminated=contaminated)
    # Each instruction is a row or has one reason; a preference row needs the other row.
    assert (selection.cut is None) == (selection.rejected is not None or selection.preference_cut is not None)
    assert selection.rejected is None or selection.preference_cut is None
    if selection.cut is None:
        assert selection.gold is not None
        row = sft_row(made, selection.gold, "t", None, ())
        assert list(row) == SFT.names
        assert row["score"] == max(score for score in scores if score is not None)
        assert row["messages"][1]["content"] != LEAK
        assert (row["margin"] or 0.0) >= min_margin
        assert finish == "stop"
        assert contaminated is None
    if selection.gold is not None and selection.rejected is not None:
        pair = preference_row(made, selection.gold, selection.rejected, "t", None, ())
        assert list(pair) == PREFERENCE.names
        assert pair["rejected_score"] == min(score for score in scores if score is not None) < pair["chosen_score"]
        assert pair["rejected"][0]["content"] != LEAK


def test_an_answer_that_is_flagged_for_what_is_dropped_gives_no_row() -> None:
    made = instruction([0.9, 0.1, None, None])
    none: tuple[Flag, ...] = ()

    def cuts(gold: tuple[Flag, ...], rejected: tuple[Flag, ...], *drop: Flag) -> tuple[str | None, str | None]:
        selection = chosen(made, flags=(gold, rejected, none, none), drop=drop)
        return selection.cut, selection.preference_cut

    assert cuts(("Secret",), ("PersonalData",)) == (None, None)
    assert cuts(("Secret",), none, "Secret") == ("Flagged:Secret", None)
    assert cuts(("Secret",), ("PersonalData",), "PersonalData") == (None, "Flagged:PersonalData")
    assert cuts(("PersonalData",), none, "Secret") == (None, None)
