"""Drawing the page: a template that escapes every value, and nothing that comes from outside the page.

The page has no script. Its content security policy forbids scripts, frames and every request, so that even a mistake
in escaping could not run or fetch anything.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tiltyard_jobs.report.benchmarks import AXIS, benchmark_tables
from tiltyard_jobs.report.breakdowns import breakdowns, control_rows
from tiltyard_jobs.report.calibration import calibration_tables
from tiltyard_jobs.report.costs import cost_tables, token_table, void_table
from tiltyard_jobs.report.formats import count, size, visible
from tiltyard_jobs.report.headline import best_alone, headline, home_note, length_note
from tiltyard_jobs.report.inputs import ReportInput
from tiltyard_jobs.report.instructions import (
    MOST_OVERLAPS,
    difficulty,
    funnel_table,
    noted,
    overlaps,
    share_rows,
    task_types,
)
from tiltyard_jobs.report.jury import COLUMNS, ENOUGH, jury_worth, report_cards
from tiltyard_jobs.report.leaderboard import leaderboard
from tiltyard_jobs.report.matrix import vote_matrix, win_matrix
from tiltyard_jobs.report.spending import spending_tables
from tiltyard_jobs.report.training import curves, gain_rows
from tiltyard_jobs.results.documents import Standings
from tiltyard_jobs.results.standings import gold_rule

_CUTS = 12  # reasons shown for what gave no training row
_LONGEST = 8_192  # characters of any one value; what is meant to be long is cut before, with a note that says so


def render(given: ReportInput) -> str:
    """The page, as HTML that is a function of `given` alone."""
    return _environment().get_template("report.html.j2").render(view(given)) + "\n"


def view(given: ReportInput) -> dict[str, Any]:
    """What the template names: text and geometry."""
    standings, data = given.standings, given.data
    return {
        "tournament": visible(given.tournament),
        "run": visible(given.run),
        "headline": headline(standings),
        "notes": [_sentence(note, standings) for note in given.notes],
        "facts": _facts(given),
        "best_alone": best_alone(standings),
        "length_note": length_note(standings),
        "home_note": home_note(standings),
        "leaderboard": leaderboard(standings),
        "controls": control_rows(standings),
        "breakdowns": breakdowns(standings),
        "wins": win_matrix(standings),
        "votes": vote_matrix(standings),
        "card_columns": COLUMNS,
        "card_rows": report_cards(standings.judges),
        "jury_worth": jury_worth(standings),
        "calibration": calibration_tables(standings.calibration),
        "enough": ENOUGH,
        "difficulty": difficulty(given),
        "funnel": funnel_table(data.funnels),
        "instructions": visible(given.instructions, 400),
        "noted": noted(data.funnels),
        "prefixes": given.prefixes,
        "task_types": task_types(data.funnels),
        "benchmarks": benchmark_tables(given.benchmarks),
        "benchmark_axis": AXIS,
        "curves": curves(given.curve),
        "gains": gain_rows(given.gains),
        "overlaps": overlaps(data.overlaps),
        "more_overlaps": max(0, len(data.overlaps) - MOST_OVERLAPS),
        "gold": share_rows(Counter(data.gold_by_player), len(standings.players)),
        "cuts": share_rows(Counter(data.cut), _CUTS),
        "preference_cuts": share_rows(Counter(data.preference_cut), _CUTS),
        "rows": {"sft": count(data.sft), "preference": count(data.preference)},
        "voids": void_table(data.voids, given.stages),
        "tokens": token_table(data.tokens),
        "cost": cost_tables(given.ledger),
        "spending": spending_tables(given.spending),
        "samples": [
            sample._replace(attacker=visible(sample.attacker), winner=visible(sample.winner))
            for sample in given.samples
        ],
        "files": [
            (file.path, count(file.rows) if file.rows else "", size(file.size), file.sha256) for file in given.files
        ],
        "stages": [(one.stage, count(one.artifacts), count(one.parts), count(one.rows)) for one in given.stages],
        "versions": sorted(given.versions.items()),
        "method": {
            "gold": gold_rule(standings),
            "k": f"{standings.k:g}",
        },
    }


def _sentence(note: str, standings: Standings) -> str:
    """A note as a sentence; a name that begins it stays as it is written."""
    names = {player.name for player in standings.players} | {judge.name for judge in standings.judges}
    begins = note if note.partition(" ")[0] in names else f"{note[:1].upper()}{note[1:]}"
    return f"{visible(begins, 400)}."


def _facts(given: ReportInput) -> tuple[tuple[str, str], ...]:
    standings, data = given.standings, given.data
    return (
        ("Players", count(len(standings.players))),
        ("Judges", count(len(standings.judges))),
        ("Instructions", count(standings.instructions)),
        ("Battles", count(standings.matches)),
        ("Verdicts", count(standings.verdicts)),
        ("Training rows", count(data.sft)),
        ("Preference pairs", count(data.preference)),
    )


def _safe(value: object) -> object:
    """Every value on its way into the page: bounded, and visible. Escaping follows."""
    return visible(value, _LONGEST) if isinstance(value, str) and not isinstance(value, Markup) else value


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("tiltyard_jobs.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_safe,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
