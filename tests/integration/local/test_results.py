"""What a run leaves behind: the same bytes wherever it goes and however often it is run."""

from __future__ import annotations

from typing import Any

import pytest

from integration.local.conftest import MakeRun
from support.local_runs import LocalRun
from support.manifests import manifest


def small(**spec: Any) -> dict[str, Any]:
    """Two players and a judge: every stage, none of much work."""
    curation = {"decontaminate": [], "diversity": {"perCompetitor": 6}}
    return manifest(2, judges=1, per_competitor=20, **{"curation": curation, "jobs": {"shardSize": 12}, **spec})


@pytest.fixture(scope="module")
def done(make_shared_run: MakeRun) -> LocalRun:
    """A finished run in a folder."""
    run = make_shared_run("done", small())
    run.finished = run.complete()
    return run
