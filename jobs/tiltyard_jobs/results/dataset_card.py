"""The dataset card: what the tables hold, how they came about, and what they are no good for.

Nothing that a model said is in it; what the manifest says is escaped, since a card is rendered as Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from tiltyard_jobs.contracts.intervals import interval_text
from tiltyard_jobs.contracts.licenses import asked, identifier, named
from tiltyard_jobs.contracts.recipes import DatasetRecipe, PlayerRecipe, SourceRecipe
from tiltyard_jobs.curation.decontaminate import NGRAM_WORDS
from tiltyard_jobs.results.documents import DataSummary, Standings
from tiltyard_jobs.results.dropped import are_given
from tiltyard_jobs.results.run_tables import DATASET_PATHS, RATING_PATHS
from tiltyard_jobs.results.standings import gold_rule

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
ABOUT = {
    "sft": "one conversation for an instruction: the instruction and its gold answer, as `messages`",
    "preference": "`prompt`, `chosen` (the gold answer) and `rejected` (the lowest-scored one), as lists of messages",
    "instructions": "every curated instruction, and why it gave no training row where it gave none (`cut`)",
    "answers": "every answer, with its final score; a void one has its reason",
    "verdicts": "every verdict asked for; a void one has its reason",
    "battles": "the outcome of every match that a judge decided, in the columns that `arena-rank` reads",
    "ratings": "every competitor, with its rating and its interval",
    "breakdowns": "a competitor's rating over a part of the instructions: of an attacker, a task type, a difficulty, …",
    "scores": "every curated instruction and competitor: the final score of its answer",
    "dropped": "every given instruction that was dropped, with the reason, and the text that it repeats",
}


def card(recipe: DatasetRecipe, standings: Standings, summary: DataSummary, rows: Mapping[str, int]) -> str:
    """The card's text.

    Args:
        recipe: what the data is made of.
        standings: of the same tournament.
        summary: how the data came about.
        rows: rows of each table that is there, by name, the default one first.
    """
    sections = [
        f"# {cell(recipe.tournament)}",
        "Training data made by a tournament of language models with Tiltyard,"
        " after WarriorCoder ([arXiv 2412.17395](https://arxiv.org/abs/2412.17395)). "
        + (
            "Its instructions were given, and have no author among the competitors; its answers are those of the"
            " competitors named below."
            if are_given(recipe)
            else "All text in it, instructions and answers, was written by the models named below."
        ),
        "## Tables\n\n"
        + table(("configuration", "rows", "one row"), [(f"`{n}`", r, ABOUT[n]) for n, r in rows.items()]),
        _usage(next(iter(loadable(rows)))),
        "## Models\n\n" + _models(recipe, standings),
        "## How it was made\n\n" + _method(recipe, standings),
        "## From instructions to rows\n\n" + _counts(summary),
        "## Decontamination\n\n" + _decontamination(summary),
        "## Secrets and personal data\n\n" + _flags(recipe, summary),
        "## Licences\n\n" + _licenses(recipe, summary),
        "## Limitations\n\n" + _LIMITATIONS,
    ]
    return f"---\n{front_matter(recipe, rows)}---\n\n" + "\n\n".join(sections) + "\n"


def front_matter(recipe: DatasetRecipe, rows: Mapping[str, int]) -> str:
    """YAML that the Hugging Face libraries read: the configurations name their files in a run's folder."""
    there = loadable(rows)
    licenses = sorted({identifier(stated) for stated in _stated(recipe)})
    document: dict[str, Any] = {
        "pretty_name": recipe.tournament,
        "license": licenses,
        "task_categories": ["text-generation"],
        "tags": ["tiltyard", "synthetic", "instruction-tuning", "preference"],
        "size_categories": [next((name for bound, name in _SIZES if max(there.values()) < bound), "n>1M")],
        "configs": [
            {"config_name": name, "data_files": (DATASET_PATHS | RATING_PATHS)[name]}
            | ({"default": True} if place == 0 else {})
            for place, name in enumerate(there)
        ],
    }
    return yaml.safe_dump(document, sort_keys=False, width=1000)


def loadable(rows: Mapping[str, int]) -> dict[str, int]:
    """The tables that can be a configuration: `datasets.load_dataset` fails on one without rows."""
    return {name: count for name, count in rows.items() if count}


def cell(text: object) -> str:
    """Any text as one line of Markdown that says nothing but itself."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*_\[\]<>|#&~$])", r"\\\1", line)


def table(heads: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A Markdown table of cells that are Markdown already."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(str(entry) for entry in row)} |" for row in rows)


def _usage(first: str) -> str:
    return (
        "```python\nfrom datasets import load_dataset\n\n"
        f'rows = load_dataset("path/of/this/folder", "{first}", split="train")\n```'
    )


def _models(recipe: DatasetRecipe, standings: Standings) -> str:
    by_name = {player.name: player for player in (*recipe.lineup.players, *recipe.lineup.judges)}

    def described(player: PlayerRecipe) -> tuple[str, str, str]:
        return cell(player.model.described), cell(player.model.source[1] or ""), cell(player.license or "unknown")

    competitors = [
        (
            one.rank,
            cell(one.name),
            *described(by_name[one.name]),
            _points(one.rating),
            interval_text(one.low, one.high, _points) or "–",
            one.gold,
        )
        for one in standings.players
    ]
    text = table(
        ("rank", "competitor", "model", "revision", "licence", "rating", "95% interval", "gold answers"), competitors
    )
    if not recipe.lineup.judges:
        return f"{text}\n\nEach competitor judged the matches in which it did not play."
    judges = [(cell(judge.name), *described(judge)) for judge in recipe.lineup.judges]
    return f"{text}\n\n" + table(("judge", "model", "revision", "licence"), judges)


def _method(recipe: DatasetRecipe, standings: Standings) -> str:
    source = (
        "The instructions were given by the user, and stay as they are; what was dropped of them is counted below."
        if are_given(recipe)
        else "Each competitor wrote instructions by completing its own chat template up to where a user's words begin."
        " They were linted, deduplicated, graded and compressed as counted below."
    )
    return (
        f"{source}"
        f" The competitors answered {standings.instructions} instructions and met in {standings.matches} matches that"
        f" judges decided by {standings.verdicts} verdicts ({standings.undecided} matches had none that counts;"
        f" {standings.without_quorum} were decided by fewer than two judges where three could have)."
        f" No model judged a match that it played in. {gold_rule(standings)}"
        f" Ratings are Bradley–Terry, with 95% intervals from the likelihood's profile and a jackknife over"
        " instructions."
    )


def _counts(summary: DataSummary) -> str:
    funnel = [
        (cell(one.attacker), one.asked, _reasons(one.dropped), one.curated, summary.gold_by_player.get(one.attacker, 0))
        for one in summary.funnels
    ]
    text = table(("attacker", "asked for", "dropped", "curated", "rows with its answer"), funnel)
    return (
        f"{text}\n\nCurated instructions that gave no training row: {_reasons(summary.cut)}."
        f" Of the others, those that gave no preference row: {_reasons(summary.preference_cut)}."
    )


def _decontamination(summary: DataSummary) -> str:
    if not summary.overlaps:
        return "None was asked for: the data may hold texts of benchmarks."
    found = [(cell(one.benchmark), one.items, one.matched) for one in summary.overlaps]
    return (
        f"Instructions and answers that share a run of {NGRAM_WORDS} words with a benchmark's text, or are a near"
        " duplicate of one, gave no row.\n\n"
        + table(("benchmark", "texts", "instructions and answers that repeat one"), found)
    )


def _flags(recipe: DatasetRecipe, summary: DataSummary) -> str:
    what = (
        "Texts were searched for tokens of known services, private keys and passwords that are assigned (`Secret`), and"
        " for addresses for e-mail, phone numbers, IBANs, payment cards and US social security numbers"
        " (`PersonalData`); the column `flags` says what was found in a row. Names of people and weak passwords are not"
        " found."
    )
    dropped = f" Of these were left out: {', '.join(recipe.drop_flags)}." if recipe.drop_flags else ""
    found = [
        (f"`{name}`", counts.get("Secret", 0), counts.get("PersonalData", 0))
        for name, counts in summary.flagged.items()
    ]
    counted = table(("table", "rows with Secret", "with PersonalData"), found) if found else "Nothing was found."
    return f"{what}{dropped}\n\n{counted}"


def _stated(recipe: DatasetRecipe) -> list[str | None]:
    """The licences of all that may be in the data: of the competitors, and of given instructions."""
    source = recipe.source or SourceRecipe()
    return [*(player.license for player in recipe.lineup.players), *([source.license] if are_given(recipe) else [])]


def _licenses(recipe: DatasetRecipe, summary: DataSummary) -> str:
    lines = [
        f"{count} of {sum(summary.gold_by_license.values())} gold answers are {cell(name)}"
        for name, count in summary.gold_by_license.items()
    ]
    text = f"{'; '.join(lines) or 'There is no gold answer'}. `row_license` has the licences of all parts of a row."
    asks = [
        (cell(name), ", ".join(asked([stated])) or "nothing")
        for name, stated in sorted({named(stated): stated for stated in _stated(recipe)}.items())
    ]
    return f"{text}\n\n" + table(("licence, as stated", "asks for"), asks)


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{cell(reason)} {count}" for reason, count in sorted(counts.items())) or "none"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


_LIMITATIONS = """\
- Nothing here was checked by a person, and no answer was run: a gold answer is the one that judges preferred, which may
  be wrong.
- Judges have biases (position, length, their own family); the tournament's report shows how strong they were.
- Ratings compare these models on these instructions alone.
- Licences are those that the tournament's author stated; whether they allow training is for the reader to check."""
