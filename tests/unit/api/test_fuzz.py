"""Changed manifests, and those that are built from the schema: each is taken, or refused with
paths; and the CRD refuses nothing that `validate` takes.

`make fuzz COUNT=10000` tries more, at a real API server.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.admission import Admission
from support.agreement import WHOLE
from support.fuzzed_manifests import Fuzzed, fuzzed
from support.schema_manifests import from_schema
from tiltyard.api import ManifestError, Problem, load_tournament, problems_on_cluster, problems_on_machine, unsupported

EXAMPLES = 200
PARTS = 4


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        load_tournament(text)
    except ManifestError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("make", [fuzzed, from_schema], ids=["from-samples", "from-schema"])
@pytest.mark.parametrize("part", range(PARTS))
def test_a_changed_manifest_is_taken_or_refused_with_paths(
    part: int, make: Callable[[int], Fuzzed], admission: Admission
) -> None:
    taken = refused = 0
    for seed in range(part, EXAMPLES, PARTS):
        manifest = make(seed)
        if problems := problems_of(manifest.written):
            refused += 1
            for problem in problems:
                assert problem.path or any(words in problem.message for words in WHOLE), (seed, problem)
                assert str(problem).isprintable(), (seed, problem)
            continue
        taken += 1
        tournament = load_tournament(manifest.written)
        on_cluster = problems_on_cluster(tournament)
        others = [*unsupported(tournament), *problems_on_machine(tournament, folder_given=True)]
        assert all(problem.path for problem in (*on_cluster, *others)), seed
        if not on_cluster:
            assert admission.refusals(manifest.document) == [], seed
    assert min(taken, refused) > EXAMPLES / PARTS / 10
