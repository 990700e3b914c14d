"""The page of `tiltyard compare --html`: what differs between two runs, and why, with the battles that show it.

One file without a script: the policy in it allows its own style sheet alone, by digest.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from tiltyard_jobs.contracts.comparison import Differences, OnlyInOne, RatedPlayer
from tiltyard_jobs.contracts.solo_tasks import ComparisonPage
from tiltyard_jobs.contracts.summary import Agreement
from tiltyard_jobs.reader.battle import Answer, Battle, read_battle
from tiltyard_jobs.reader.comparison import Shared, Side, verdict_counts
from tiltyard_jobs.reader.pages import asset, environment, shown, votes_by_judge
from tiltyard_jobs.reader.sentences import about_answer, about_battle, outcome
from tiltyard_jobs.report.formats import DASH, count, decimal, percent, points, visible, within

_LONGEST = 20_000  # characters of each text
_VALUE = 500  # characters of a manifest's value
_SHOWN_CHANGES = 500


def comparison_page(
    first: Side, second: Side, shared: Shared, found: Differences, asked: ComparisonPage, agreement: Agreement
) -> str:
    """The page, as HTML that is a function of what is given alone.

    Args:
        first: one run.
        second: the other one.
        shared: the battles of both.
        found: what differs.
        asked: what is said of the manifests.
        agreement: of the ratings.

    Raises:
        PermanentError: a table is gone or damaged.
    """
    style = asset("reader.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    shown_battles = shared.differing()[: len(found.battles)]
    return environment.get_template(
        "compare.html.j2"
    ).render(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        style=Markup(style),  # noqa: S704 - our own
        runs=[
            {"word": word, "tournament": side.index.source.tournament, "run": side.index.source.run, "file": name}
            for word, side, name in zip(("first", "second"), (first, second), asked.names, strict=True)
        ],
        facts=_facts(agreement, found),
        why=found.why,
        changes=[
            (one.path, *(DASH if value is None else visible(value, _VALUE) for value in (one.first, one.second)))
            for one in asked.changes[:_SHOWN_CHANGES]
        ],
        more_changes=max(0, len(asked.changes) - _SHOWN_CHANGES),
        stages=[(one.stage, *map(count, (one.both, one.first_only, one.second_only))) for one in found.stages],
        players=_players(found),
        judges=_judges(first, second),
        only=_only(found.first_only, found.second_only),
        total=f"{found.differing:,}",
        left_out=found.differing - len(found.battles),
        battles=[_battle(first, second, shared, row) for row in shown_battles],
    )


def _facts(agreement: Agreement, found: Differences) -> list[tuple[str, str]]:
    return [
        ("Players in both", count(agreement.players)),
        ("Same leader", "yes" if agreement.same_leader else "no"),
        ("Kendall's tau-b", decimal(agreement.kendall, 3)),
        ("Spearman's rho", decimal(agreement.spearman, 3)),
        ("Same gold answers", f"{count(agreement.gold_same)} of {count(agreement.gold_compared)}"),
        ("Battles in both", count(found.shared_battles)),
        ("With another winner", count(found.other_winner)),
    ]


def _players(found: Differences) -> list[dict[str, Any]]:
    """The leaderboards side by side."""
    rows = []
    for player in found.players:
        one, other = player.first, player.second
        row: dict[str, Any] = {"name": player.name, "runs": [_standing(one), _standing(other)]}
        row |= {"rank": DASH, "rating": DASH, "overlap": DASH}
        if one is not None and other is not None:
            row["rank"] = decimal(one.rank - other.rank, 0, plus=True)
            if one.rating is not None and other.rating is not None:
                row["rating"] = decimal(other.rating - one.rating, 0, plus=True)
            if not (one.low is None or one.high is None or other.low is None or other.high is None):
                row["overlap"] = "yes" if one.low <= other.high and other.low <= one.high else "no"
        rows.append(row)
    return rows


def _standing(one: RatedPlayer | None) -> dict[str, str]:
    if one is None:
        return {"rank": DASH, "rating": DASH, "interval": DASH, "gold": DASH}
    return {
        "rank": str(one.rank),
        "rating": points(one.rating),
        "interval": within(one.low, one.high),
        "gold": count(one.gold),
    }


def _judges(first: Side, second: Side) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """Every judge: in each run the verdicts that it gave, void ones, its consistency and its agreement."""
    counts = [verdict_counts(side.index) for side in (first, second)]
    names = dict.fromkeys([*first.judges, *second.judges, *counts[0], *counts[1]])
    rows = []
    for name in names:
        cells = []
        for side, found in zip((first, second), counts, strict=True):
            card, (given, voids) = side.judges.get(name, {}), found.get(name, (0, 0))
            there = name in found or name in side.judges
            cells.append(
                (
                    count(given) if there else DASH,
                    count(voids) if there else DASH,
                    percent(card.get("consistency")),
                    percent(card.get("agreement")),
                )
            )
        rows.append((name, cells))
    return rows


def _only(first: OnlyInOne, second: OnlyInOne) -> list[tuple[str, str, str, str]]:
    """What one run lacks, with a reason; lines without a case are left out."""
    lines = [
        ("Instructions", "instructions", "the other run has another instruction set"),
        ("Battles", "battles_by_instruction", "the other run does not have the instruction"),
        ("Battles", "battles_by_player", "the other run does not have one of the players"),
        ("Battles", "battles_by_schedule", "the other run does not compare the two on it"),
        ("Battles with a vote", "voted", "in the other run every verdict on it is void"),
    ]
    counts = [(what, getattr(first, name), getattr(second, name), why) for what, name, why in lines]
    return [(what, count(one), count(other), why) for what, one, other, why in counts if one or other]


def _battle(first: Side, second: Side, shared: Shared, row: int) -> dict[str, Any]:
    """A battle in both runs, with A and B as in the first."""
    one = read_battle(first.index, int(shared.first[row]))
    other = read_battle(second.index, int(shared.second[row]))
    if shared.swapped[row]:
        other = _turned(other)
    both = (one, other)
    same = all(_same(x, y) for x, y in ((one.a, other.a), (one.b, other.b)))
    return {
        "a": one.a.player,
        "b": one.b.player,
        "excerpt": visible(" ".join(one.instruction[:800].split()), 160),
        "about": about_battle(one),
        "shares": [battle.share for battle in both],
        "outcomes": [outcome(battle) for battle in both],
        "gold": [battle.gold or "nobody's answer" for battle in both],
        "history": [(role, shown(text, limit=_LONGEST)) for role, text in one.history],
        "instruction": shown(one.instruction, prose=True, limit=_LONGEST),
        "answers": [[_answer(one, each) for each in (one.a, one.b)]]
        + ([] if same else [[_answer(other, each) for each in (other.a, other.b)]]),
        "votes": _votes(one, other),
        "reasons": [
            (f"{word} run: {each.judge}, {each.first} shown first", shown(each.reason or each.detail, limit=_LONGEST))
            for word, battle in zip(("First", "Second"), both, strict=True)
            for each in battle.verdicts
            if each.reason or each.detail
        ],
    }


def _turned(battle: Battle) -> Battle:
    """The same battle with A and B exchanged."""
    return replace(
        battle,
        a=battle.b,
        b=battle.a,
        share=None if battle.share is None else 1 - battle.share,
        verdicts=[one._replace(vote=None if one.vote is None else 1 - one.vote) for one in battle.verdicts],
    )


def _same(one: Answer, other: Answer) -> bool:
    return (one.text, one.void) == (other.text, other.void)


def _answer(battle: Battle, one: Answer) -> dict[str, Any]:
    """An answer, without what one run's jury says of it."""
    return {
        "player": one.player,
        "gold": False,
        "about": about_answer(replace(battle, share=None), one),
        "thought": shown(one.thought, limit=_LONGEST) if one.thought else None,
        "text": shown(one.text, prose=True, limit=_LONGEST) if one.text is not None else None,
    }


def _votes(one: Battle, other: Battle) -> list[tuple[str, list[Any]]]:
    """A row for each judge: its votes in the first run, by order, then those in the second one."""
    runs = [{judge: (first, last) for judge, first, last, _ in votes_by_judge(battle)} for battle in (one, other)]
    return [
        (judge, [cell for run in runs for cell in run.get(judge, ((), ()))])
        for judge in dict.fromkeys([*runs[0], *runs[1]])
    ]
