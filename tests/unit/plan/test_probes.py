"""What a model's first bundle is told of the later ones."""

from __future__ import annotations

import pytest

from support.manifests import tournament
from tiltyard.api import Tournament
from tiltyard.plan.build import PROBED, build_graph


@pytest.mark.parametrize("given", [tournament(3), tournament(2, judges=2)])
def test_the_first_bundle_of_a_model_is_told_of_each_stage_that_comes(given: Tournament) -> None:
    graph = build_graph(given)
    for model in graph.model:
        first, *others = (bundle for bundle in graph.bundles if bundle.model == model)
        stages = {bundle.stage for bundle in (first, *others)} & {*PROBED}
        assert [recipe.stage for recipe in first.probes] == [
            stage for stage in PROBED if stage in stages - {first.stage}
        ]
        assert stages, model
        assert not any(bundle.probes for bundle in others)
