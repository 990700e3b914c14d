"""What a reader of the board should know of it: sentences for the end of a run, its status and its report."""

from __future__ import annotations

from tiltyard_jobs.results.by_place import by_place
from tiltyard_jobs.results.calibration_notes import calibration_notes
from tiltyard_jobs.results.documents import Standings
from tiltyard_jobs.results.level import level
from tiltyard_jobs.results.marked_judges import marked_judges


def doubts(standings: Standings) -> tuple[str, ...]:
    """All of them, those about the whole board first."""
    return (
        *level(standings),
        *by_place(standings.judges),
        *marked_judges(standings),
        *calibration_notes(standings.calibration),
    )
