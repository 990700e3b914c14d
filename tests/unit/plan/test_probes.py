"""What the bundles of a model try it with first."""

from __future__ import annotations

import pytest

from support.manifests import tournament
from tiltyard.api import Tournament
from tiltyard.plan.build import PROBED, build_graph


@pytest.mark.parametrize("given", [tournament(3), tournament(2, judges=2)])
def test_a_model_s_first_bundle_tries_all_stages_and_each_later_one_its_own(given: Tournament) -> None:
    graph = build_graph(given)
    for model in graph.model:
        first, *others = (bundle for bundle in graph.bundles if bundle.model == model)
        stages = [stage for stage in PROBED if stage in {bundle.stage for bundle in (first, *others)}]
        assert stages, model
        assert [recipe.stage for recipe in first.probes] == stages
        for bundle in others:
            assert bundle.probes == (bundle.recipes[:1] if bundle.stage in PROBED else ())
