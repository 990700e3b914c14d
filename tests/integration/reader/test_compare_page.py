"""The page of `tiltyard compare --html`, over runs whose texts attack."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from support.artifact_rows import Asked
from support.browser import VARIABLE, browser
from support.read_runs import INSTRUCTIONS, NAMES, RUN, Page, Run, answer, make_run
from tiltyard_jobs.contracts.solo_tasks import ComparisonPage, ManifestChange
from tiltyard_jobs.contracts.summary import Agreement
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.reader.comparison import Missing, Side, missing, read_side, shared_battles
from tiltyard_jobs.reader.comparison_page import comparison_page
from tiltyard_jobs.reader.differences import differences

AGREEMENT = Agreement(players=4, kendall=0.5, spearman=None, same_leader=False, gold_same=3, gold_compared=9)
PICTURES = os.environ.get("TILTYARD_PICTURES")


def other_answer(player: str, attacker: str, row: int) -> str | dict[str, Any] | None:
    """As in the first run, but for one answer."""
    if (player, attacker, row) == ("dee", "dee", 0):
        return "</pre><script>alert(8)</script> dee's other answer"
    return answer(player, attacker, row)


def other_vote(asked: Asked) -> float | dict[str, Any] | None:
    """Another jury: it prefers who comes first in the alphabet, and never votes on one battle."""
    if (asked.attacker, asked.row) == ("bob", 1) and {asked.player_a, asked.player_b} == {"ada", "bob"}:
        return {"vote": None, "void": "Undecided", "detail": ""}
    return 0.9 if asked.player_a < asked.player_b else 0.1


class Runs:
    """A run, and another one: other votes, A and B exchanged in some battles, one instruction less."""

    def __init__(self, root: Path) -> None:
        instructions = INSTRUCTIONS | {"cyd": INSTRUCTIONS["cyd"][:3]}
        first, second = root / "first", root / "second"
        for folder in (first, second):
            folder.mkdir()
        self.first = make_run(first, all_pairs=True)
        self.second = make_run(
            second, instructions, other_answer, other_vote, names=tuple(reversed(NAMES)), all_pairs=True
        )

    @property
    def sides(self) -> tuple[Side, Side]:
        return read_side(self.first.world.store, RUN), read_side(self.second.world.store, RUN)

    def page(self, most: int = 1_000) -> str:
        asked = ComparisonPage(
            file="/unused",
            names=("first<b>.yaml", "second.yaml"),
            changes=(ManifestChange(path="spec.judges[<i>kim</i>].model.uri", first=None, second="sim://<u>kim"),),
        )
        first, second = self.sides
        shared = shared_battles(first, second)
        return comparison_page(first, second, shared, differences(first, second, shared, most), asked, AGREEMENT)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


def results(run: Run) -> tuple[dict[tuple[str, frozenset[str]], str | None], dict[str, str | None]]:
    """From the run's own tables: who won each battle (None: a tie), and whose answer is gold."""
    tables = run.folder / "tables"
    won = {}
    for row in pq.read_table(tables / "battles.parquet").to_pylist():
        a, b, score = row["model_a"], row["model_b"], row["score"]
        won[row["instruction_id"], frozenset((a, b))] = None if score == 0.5 else a if score > 0.5 else b
    gold = {row["instruction_id"]: row["gold"] for row in pq.read_table(tables / "instructions.parquet").to_pylist()}
    return won, gold


def test_the_battles_that_differ_are_those_that_the_tables_of_both_runs_tell(runs: Runs) -> None:
    first, second = runs.sides
    shared = shared_battles(first, second)
    index = first.index
    assert shared.swapped.any()
    assert not shared.swapped.all()

    def name(row: int) -> tuple[str, frozenset[str]]:
        number = int(shared.first[row])
        players = (index.players.words[int(side[number])] for side in (index.battles.a, index.battles.b))
        return index.ids[int(index.battles.instruction[number])].as_py(), frozenset(players)

    (won, gold), (won_again, gold_again) = results(runs.first), results(runs.second)
    winners = {one for one in won.keys() & won_again.keys() if won[one] != won_again[one]}
    assert {name(row) for row in range(len(shared.first)) if shared.winner[row]} == winners != set()
    golds = {
        (identity, pair)
        for identity, pair in (name(row) for row in range(len(shared.first)))
        if (found := {gold[identity], gold_again[identity]}) & pair and len(found) == 2 and None not in found
    }
    differing = shared.differing()
    assert {name(row) for row in differing} == winners | golds
    moved = [float(shared.moved[row]) for row in differing]
    assert moved == sorted(moved, reverse=True)


def test_what_is_in_one_run_only_is_counted_with_the_reason(runs: Runs) -> None:
    first, second = runs.sides
    assert missing(first, second) == Missing(instructions=1, by_instruction=6, by_player=0, by_schedule=0)
    assert missing(second, first) == Missing(instructions=0, by_instruction=0, by_player=0, by_schedule=0)
    assert shared_battles(first, second).unvoted == (0, 1)
    text = re.sub(r"\s+", " ", Page(runs.page()).text)
    assert "Instructions10the other run has another instruction set" in text
    assert "Battles60the other run does not have the instruction" in text
    assert "Battles with a vote10in the other run every verdict on it is void" in text


def test_what_moved_is_what_the_tables_of_both_runs_tell(runs: Runs) -> None:
    first, second = runs.sides
    found = differences(first, second, shared_battles(first, second), 5)
    ratings = [
        {row["player"]: row["rating"] for row in pq.read_table(run.folder / "tables/ratings.parquet").to_pylist()}
        for run in (runs.first, runs.second)
    ]
    assert {one.name: one.first.rating for one in found.players if one.first} == pytest.approx(ratings[0])
    assert {one.name: one.second.rating for one in found.players if one.second} == pytest.approx(ratings[1])
    assert [one.first.rank for one in found.players if one.first] == [1, 2, 3, 4]
    (won, gold), (won_again, gold_again) = results(runs.first), results(runs.second)
    assert found.other_winner == sum(won[one] != won_again[one] for one in won.keys() & won_again.keys())
    assert len(found.battles) == 5 < found.differing
    for one in found.battles:
        identity, a, b = one.id.split("/")
        names = (identity, frozenset((a, b)))
        assert one.other_winner == (won[names] != won_again[names])
        assert (one.first_gold, one.second_gold) == (gold[identity], gold_again[identity])
        for share, winner in ((one.first_share, won[names]), (one.second_share, won_again[names])):
            assert share is not None
            assert winner == (None if share == 0.5 else a if share > 0.5 else b)
    assert (found.first_only.instructions, found.first_only.voted, found.second_only.voted) == (1, 1, 0)


def test_pairs_that_never_meet_and_players_of_one_run_are_counted(runs: Runs, tmp_path: Path) -> None:
    small = make_run(tmp_path, names=NAMES[:3], instructions={name: INSTRUCTIONS[name] for name in NAMES[:3]})
    first, _ = runs.sides
    found = missing(first, read_side(small.world.store, RUN))
    # dee's four instructions; on the twelve others dee's three battles, and the one without the attacker
    assert found == Missing(instructions=4, by_instruction=24, by_player=36, by_schedule=12)


def test_the_page_is_harmless_and_complete(runs: Runs) -> None:
    html = runs.page()
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "iframe", "form", "object", "base", "u", "i", "b"}
    (policy,) = [
        given["content"]
        for tag, given in page.elements
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy"
    ]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]+='; img-src data:; base-uri 'none'; form-action 'none'",
        policy or "",
    )
    for _, attributes in page.elements:
        assert not any(each.startswith("on") or each == "style" for each in attributes)
        assert all((attributes.get(each) or "#").startswith(("#", "data:,")) for each in ("href", "src"))
    assert "\u202e" not in html
    for word in ("spec.judges[<i>kim</i>].model.uri", "sim://<u>kim", "first<b>.yaml", "Spearman's rho"):
        assert word in page.text
    assert len(html) < 3_000_000  # of the answer of a megabyte only the beginning is there
    battles = [given for tag, given in page.elements if tag == "details" and given.get("class") == "battle"]
    assert len(battles) == len(shared_battles(*runs.sides).differing())


def test_other_answers_are_shown_beside_the_first_run_s(runs: Runs) -> None:
    text = Page(runs.page()).text
    assert "dee's other answer" in text
    assert "Answers in the second run" in text


def test_the_most_different_battles_are_on_a_short_page_and_the_rest_is_counted(runs: Runs) -> None:
    html = runs.page(most=2)
    total = len(shared_battles(*runs.sides).differing())
    assert html.count('<details class="battle"') == 2
    assert f"{total - 2} of them are not on this page" in html
    assert runs.page(most=2) == html


def test_a_run_that_is_not_complete_is_refused(runs: Runs) -> None:
    with pytest.raises(ConfigurationError, match=r"run f{12} is not complete in .*finish it with `tiltyard run`"):
        read_side(runs.first.world.store, "ffffffffffff")


@pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no browser")
@pytest.mark.timeout(600)
async def test_in_a_browser_nothing_runs_and_nothing_is_asked_for(runs: Runs, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(runs.page(), encoding="utf-8")
    async with browser() as tab:
        await tab.open(file.as_uri())
        assert await tab.value("getComputedStyle(document.querySelector('.pair')).display") == "grid", "no style sheet"
        assert tab.faults == []
        assert [one for one in tab.requests if not one.startswith((file.as_uri(), "data:"))] == []
        if PICTURES:
            await tab.picture(Path(PICTURES, "compare.png"), 1280, 2400)
            await tab.picture(Path(PICTURES, "compare-phone.png"), 390, 1600)


def test_a_battle_has_the_votes_of_both_runs_for_the_same_player(runs: Runs) -> None:
    battles = runs.page().split('<details class="battle"')[1:]
    for html in battles:
        text = re.sub(r"\s+", " ", Page(f"<details{html}").text)
        found = re.search(r"(\w+) against (\w+): [\d.]+ → (no vote|[\d.]+)", text)
        assert found is not None
        a, b, share = found.groups()
        if share == "no vote":
            assert "The second run: No judge voted." in text
            continue
        assert f"The second run: {min(a, b)} won with 0.900" in text
        assert float(share) == (0.9 if a < b else 0.1)
        votes = text[text.index(f"Second run,{a} shown first") :]
        assert votes.count("0.900" if a < b else "0.100") >= 2 * 2  # of two judges, in both orders
        assert ("0.100" if a < b else "0.900") not in votes
