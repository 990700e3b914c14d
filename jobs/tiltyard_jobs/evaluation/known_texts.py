"""The texts that are kept out of training data: of known benchmarks, and of the user's own files.

Answers are as telling as questions, so each known benchmark gives its prompts, then its reference solutions.
"""

from __future__ import annotations

from tiltyard_jobs.contracts.benchmarks import BENCHMARKS
from tiltyard_jobs.contracts.recipes import BenchmarkRecipe
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.benchmarks import benchmark
from tiltyard_jobs.evaluation.hub import hub_rows
from tiltyard_jobs.userfiles import read_records
from tiltyard_jobs.usertexts import read_texts

FIELD = "spec.curation.decontaminate"
KNOWN = tuple(BENCHMARKS)
"""Names that `load_known` takes."""

_ADVICE = "or give {uri, field} of a file that holds its texts under spec.curation.heldOut"


def benchmark_texts(recipe: BenchmarkRecipe, store: StoreRef) -> list[str]:
    """All texts of a benchmark, from the file that the manifest names, else from where its authors publish it.

    Raises:
        ConfigurationError: they cannot be had.
    """
    if recipe.uri is None:
        return load_known(recipe.name)
    if recipe.field is not None:
        return [text for text, _ in read_texts(recipe.uri, recipe.field, store, sha256=recipe.sha256)]
    records = list(read_records(recipe.uri, store, sha256=recipe.sha256))
    return [str(record[field]) for field in benchmark(recipe.name).texts for record in records if record.get(field)]


def load_known(name: str) -> list[str]:
    """The texts of a known benchmark: all prompts, then all solutions.

    They come from the benchmark's package where that is installed, else from the Hugging Face hub, all splits.

    Args:
        name: One of `KNOWN`.

    Raises:
        ConfigurationError: the name is not known, or its texts cannot be had here.
    """
    if name not in KNOWN:
        raise ConfigurationError(f"{FIELD}: {name!r} is not a known benchmark ({', '.join(KNOWN)}); {_ADVICE}")
    known = benchmark(name)
    rows = known.installed()
    if rows is None:
        rows = hub_rows(f"{FIELD}: {name}", known.hub.repository, known.hub.configuration, None, _ADVICE)
    return [str(row[field]) for field in known.texts for row in rows]
