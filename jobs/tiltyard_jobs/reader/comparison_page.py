"""The page of `tiltyard compare --html`: what differs between two runs, and why, with the battles that show it.

One file without a script: the policy in it allows its own style sheet alone, by digest.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from tiltyard_jobs.contracts.solo_tasks import ComparisonPage
from tiltyard_jobs.contracts.summary import Agreement
from tiltyard_jobs.reader.battle import Answer, Battle, read_battle
from tiltyard_jobs.reader.comparison import Missing, Shared, Side, missing, shared_battles, verdict_counts
from tiltyard_jobs.reader.pages import asset, environment, shown, votes_by_judge
from tiltyard_jobs.reader.sentences import about_answer, about_battle, outcome
from tiltyard_jobs.report.formats import DASH, by_stage, count, decimal, percent, points, visible, within

_LONGEST = 20_000  # characters of each text
_VALUE = 500  # characters of a manifest's value
_SHOWN_CHANGES = 500
_BEFORE_VERDICTS = ("prompts", "mine", "filter", "curate", "grade", "answer", "collect")


def comparison_page(first: Side, second: Side, asked: ComparisonPage, agreement: Agreement) -> str:
    """The page, as HTML that is a function of what is given alone.

    Raises:
        PermanentError: a table is gone or damaged.
    """
    style = asset("reader.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    shared = shared_battles(first, second)
    differing = shared.differing()
    stages = _stages(first, second)
    return environment.get_template(
        "compare.html.j2"
    ).render(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        style=Markup(style),  # noqa: S704 - our own
        runs=[
            {"word": word, "tournament": side.index.source.tournament, "run": side.index.source.run, "file": name}
            for word, side, name in zip(("first", "second"), (first, second), asked.names, strict=True)
        ],
        facts=_facts(agreement, shared),
        why=_why(first, second, stages),
        changes=[
            (one.path, *(DASH if value is None else visible(value, _VALUE) for value in (one.first, one.second)))
            for one in asked.changes[:_SHOWN_CHANGES]
        ],
        more_changes=max(0, len(asked.changes) - _SHOWN_CHANGES),
        stages=[(stage, *map(count, numbers)) for stage, *numbers in stages],
        players=_players(first.players, second.players),
        judges=_judges(first, second),
        only=_only(missing(first, second), missing(second, first), shared),
        total=f"{len(differing):,}",
        left_out=max(0, len(differing) - asked.most),
        battles=[_battle(first, second, shared, row) for row in differing[: asked.most]],
    )


def _facts(agreement: Agreement, shared: Shared) -> list[tuple[str, str]]:
    return [
        ("Players in both", count(agreement.players)),
        ("Same leader", "yes" if agreement.same_leader else "no"),
        ("Kendall's tau-b", decimal(agreement.kendall, 3)),
        ("Spearman's rho", decimal(agreement.spearman, 3)),
        ("Same gold answers", f"{count(agreement.gold_same)} of {count(agreement.gold_compared)}"),
        ("Battles in both", count(len(shared.first))),
        ("With another winner", count(int(shared.winner.sum()))),
    ]


def _stages(first: Side, second: Side) -> list[tuple[str, int, int, int]]:
    """By stage: the artifacts of both runs, and of one of them."""
    rows = []
    for stage in sorted(first.artifacts.keys() | second.artifacts.keys(), key=by_stage):
        one, other = first.artifacts.get(stage, frozenset()), second.artifacts.get(stage, frozenset())
        rows.append((stage, len(one & other), len(one - other), len(other - one)))
    return rows


def _why(first: Side, second: Side, stages: list[tuple[str, int, int, int]]) -> str:
    """Where the runs part."""
    if first.index.source.run == second.index.source.run:
        return "Both manifests describe the same run."
    changed = [stage for stage, _, one, other in stages if one or other]
    if not changed:
        return "Both runs are made of the same artifacts: what differs between the manifests changes no result."
    if any(stage in _BEFORE_VERDICTS for stage in changed):
        return (
            f"The runs differ from the stage {changed[0]} on: instructions or answers differ, so the ratings differ by"
            " more than the jury."
        )
    return (
        f"The runs have the same instructions and answers, and differ from the stage {changed[0]} on: that stage and"
        " those after it are the whole difference."
    )


def _players(first: Mapping[str, Mapping[str, Any]], second: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The leaderboards side by side, by the first run's rank, then the second's."""
    rows = []
    for name in [*first, *(name for name in second if name not in first)]:
        one, other = first.get(name), second.get(name)
        row: dict[str, Any] = {"name": name, "runs": [_standing(one), _standing(other)]}
        row |= {"rank": DASH, "rating": DASH, "overlap": DASH}
        if one is not None and other is not None:
            row["rank"] = decimal(one["rank"] - other["rank"], 0, plus=True)
            if one["rating"] is not None and other["rating"] is not None:
                row["rating"] = decimal(other["rating"] - one["rating"], 0, plus=True)
            ends = (one["low"], one["high"], other["low"], other["high"])
            if None not in ends:
                row["overlap"] = "yes" if ends[0] <= ends[3] and ends[2] <= ends[1] else "no"
        rows.append(row)
    return rows


def _standing(one: Mapping[str, Any] | None) -> dict[str, str]:
    if one is None:
        return {"rank": DASH, "rating": DASH, "interval": DASH, "gold": DASH}
    return {
        "rank": str(one["rank"]),
        "rating": points(one["rating"]),
        "interval": within(one["low"], one["high"]),
        "gold": count(one["gold"]),
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


def _only(first: Missing, second: Missing, shared: Shared) -> list[tuple[str, str, str, str]]:
    """What one run lacks, with a reason; lines without a case are left out."""
    lines = [
        ("Instructions", first.instructions, second.instructions, "the other run has another instruction set"),
        ("Battles", first.by_instruction, second.by_instruction, "the other run does not have the instruction"),
        ("Battles", first.by_player, second.by_player, "the other run does not have one of the players"),
        ("Battles", first.by_schedule, second.by_schedule, "the other run does not let the two meet on it"),
        ("Battles with a vote", shared.unvoted[1], shared.unvoted[0], "in the other run every verdict on it is void"),
    ]
    return [(what, count(one), count(other), why) for what, one, other, why in lines if one or other]


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
