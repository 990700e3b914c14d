"""Texts that attack who shows them, and inputs of the report in which every text is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

from support.report_samples import FIVE, sample
from tiltyard_jobs.report.formats import excerpt
from tiltyard_jobs.report.inputs import ReportInput, Sample

# Not to be run, rendered or obeyed where a report or a page of the reader shows it.
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "{{7*7}}{% for x in y %}",
    "a\u202egnp.exe\u2066",
    "\x00\x07\x1b[31m\x7f\x85",
    "'\"><svg onload=alert(2)>",
    "javascript:alert(3)",
    "</style><script>alert(4)</script>",
    "<!-- --><![CDATA[ ]]>&lt;&#x3c;",
    "z" * 1_000_000,
)


def hostile(texts: Sequence[str] = HOSTILE) -> ReportInput:
    """A small tournament in which every text that is not our own is an attack."""
    given = sample(FIVE, instructions=50)
    turn = cycle(texts)

    named = {name: f"{place} {text}" for place, (name, text) in enumerate(zip(FIVE, cycle(texts), strict=False))}
    standings = given.standings.model_copy(
        update={
            "players": tuple(
                one.model_copy(update={"name": named[one.name], "uri": next(turn)}) for one in given.standings.players
            ),
            "judges": tuple(
                one.model_copy(
                    update={
                        "name": named[one.name],
                        "voids": {next(turn): 3},
                        "votes_for": _renamed(one.votes_for, named.__getitem__),
                    }
                )
                for one in given.standings.judges
            ),
        }
    )
    reasons = {text: 4 for text in texts}
    data = given.data.model_copy(
        update={
            "funnels": tuple(
                one.model_copy(update={"attacker": named[one.attacker], "dropped": reasons, "task_types": reasons})
                for one in given.data.funnels
            ),
            "overlaps": tuple(given.data.overlaps[0].model_copy(update={"benchmark": text}) for text in texts),
            "voids": {text: reasons for text in texts},
            "tokens": {text: {next(turn): (1, 2)} for text in texts},
            "cut": reasons,
            "preference_cut": reasons,
            "gold_by_player": reasons,
        }
    )
    return given._replace(
        tournament=texts[0],
        run=texts[-1],
        standings=standings,
        data=data,
        benchmarks=tuple(
            one.model_copy(update={"model": next(turn), "benchmark": next(turn), "outcomes": reasons, "voids": reasons})
            for one in given.benchmarks
        ),
        gains=tuple(one.model_copy(update={"benchmark": text}) for one, text in zip(given.gains, texts, strict=False)),
        curve=tuple(one.model_copy(update={"stage": next(turn)}) for one in given.curve[:40]),
        samples=tuple(
            Sample(text, text, text, 0.5, 7, text, excerpt(text, 3_000), excerpt(text, 6_000)) for text in texts[:8]
        ),
        versions={"tiltyard": texts[0]},
        ledger=tuple(row.model_copy(update={"model": next(turn)}) for row in given.ledger),
    )


def _renamed(votes: dict[str, float], name_of: Callable[[str], str]) -> dict[str, float]:
    return {name_of(name): number for name, number in votes.items()}
