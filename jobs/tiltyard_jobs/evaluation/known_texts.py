"""The texts of known benchmarks, for decontamination. Those of the user's own files come through `usertexts`.

Answers are as telling as questions, so each known benchmark gives its prompts, then its reference solutions.
"""

from __future__ import annotations

from tiltyard_jobs.contracts.benchmarks import BENCHMARKS
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.benchmarks import benchmark
from tiltyard_jobs.evaluation.hub import hub_rows

FIELD = "spec.curation.decontaminate"
KNOWN = tuple(name for name, facts in BENCHMARKS.items() if facts.decontaminates)
"""Names that `load_known` takes."""

_ADVICE = "or give {uri, field} of a file that holds its texts under spec.curation.heldOut"


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
