"""`tiltyard calibrate`: what labels say of a run's judges."""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tiltyard.cli.commands import prepare
from tiltyard.cli.printing import Printer
from tiltyard.sdk import documents
from tiltyard.sdk.machine import ask
from tiltyard.sdk.manifest import absolute_uri
from tiltyard_jobs.contracts.calibration import FEW_LABELS, CalibratedJudge, Calibration, Ranged
from tiltyard_jobs.contracts.intervals import IN_SIGNS, interval_text
from tiltyard_jobs.contracts.recipes import RateRecipe
from tiltyard_jobs.contracts.solo_tasks import CalibrateTask


def calibrate(options: argparse.Namespace) -> int:
    """Say how far a run's judges can be trusted, by labels."""
    printer = Printer.of(options)
    prepared = prepare(options, printer)
    graph, settings = prepared.graph, prepared.settings
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as folder:
        file = Path(folder, "calibration.json")
        ask(
            CalibrateTask(
                tournament=graph.tournament,
                store=settings.store,
                ratings=graph.recipes(RateRecipe)[0],
                labels=absolute_uri(Path.cwd(), options.labels),
                part=options.part,
                file=str(file),
            ),
            settings,
        )
        found = Calibration.model_validate_json(file.read_bytes())
    document = documents.Calibration(tournament=graph.tournament, run=graph.run, judging=found)
    printer.result(document, partial(_print, found))
    return 0


def _print(found: Calibration) -> None:
    """The judges, the jury's worth, and the players' win rates."""
    left_out = f" (ties: {found.ties}, other battles: {found.unknown})" if found.ties or found.unknown else ""
    print(f"labels               {found.labels}{left_out}")
    if found.labels < FEW_LABELS:
        print(f"{found.labels} labels are too few to assess the judges: give at least {FEW_LABELS}")
    print(f"effective votes      {_ranged(found.votes, 1)} of {_text(found.judges_each)} judges on a battle")
    print(f"correlation          {_text(found.correlation)} of two judges' errors")
    print(f"jury right           {_ranged(found.jury.right)}%; with independent errors {_percent(found.independent)}%")
    print(f"Krippendorff's alpha {_text(found.agreement)}")
    print("In hundredths, with 95% intervals:")
    judges = Table("JUDGE", "RIGHT", "SENSITIVITY", "SPECIFICITY", "ADDS", "VERDICTS", box=None)
    for judge in (*found.judges, found.jury):
        judges.add_row(
            judge.name,
            _ranged(judge.right),
            _ranged(judge.sensitivity),
            _ranged(judge.specificity),
            "" if judge.gain is None else _ranged(judge.gain, digits=1),
            f"{judge.verdicts:,}",
        )
    Console().print(judges)
    players = Table("PLAYER", "WINS", "CORRECTED", "BY RATES ALONE", box=None)
    for one in found.jury.win_rates:
        players.add_row(one.player, _percent(one.plain), _rate(one.corrected), _rate(one.by_rates))
    Console().print(players)
    for judge in found.judges:
        if judge.adds_nothing:
            print(_adds_nothing(judge))


def _adds_nothing(judge: CalibratedJudge) -> str:
    return f"judge {judge.name} adds nothing measurable by these labels, at a cost of {judge.verdicts:,} verdicts"


def _rate(one: Ranged) -> str:
    return _ranged(one) if one.possible else "–"


def _ranged(one: Ranged, scale: float = 100, digits: int | None = None) -> str:
    if one.value is None:
        return "–"
    precision = digits if digits is not None else 2 if scale == 1 else 0

    def number(value: float) -> str:
        return f"{scale * value:.{precision}f}"

    between = interval_text(one.low, one.high, number, IN_SIGNS)
    return f"{number(one.value)} ({between})" if between else number(one.value)


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}"
