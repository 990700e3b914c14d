"""What an earlier release has left behind is read and reused, apart from what CHANGELOG.md says is made again."""

from __future__ import annotations

import json

import pytest

from release_fixture import recipes_of
from support.admission import Admission
from support.documents import ROOT
from support.releases import RECOMPUTED, Change, Release, changes, releases
from tiltyard.api import load_tournament
from tiltyard.api.crd import custom_resource_definition
from tiltyard.status.build import is_complete
from tiltyard.status.objects import status_of
from version import version

RELEASES = pytest.mark.parametrize("release", releases(), ids=lambda release: str(release.version))
ADVICE = (
    "If that is meant, say so in CHANGELOG.md and put the stage with that sentence into RECOMPUTED in "
    "tests/support/releases.py; while {release} is not released, make its fixture again: hack/release_fixture.py."
)


def test_this_version_has_a_fixture() -> None:
    assert version() in {release.version for release in releases()}, "python hack/release_fixture.py makes it"
    assert set(RECOMPUTED) == {release.version for release in releases()}


@RELEASES
def test_the_object_is_admitted_and_its_status_is_read(release: Release) -> None:
    crd = Admission(custom_resource_definition())
    assert (crd.unknown_fields(release.object), crd.refusals(release.object)) == ([], [])
    assert load_tournament(json.dumps(release.object)).spec == load_tournament(json.dumps(release.manifest)).spec
    assert is_complete(status_of(release.object), release.run)


@RELEASES
def test_its_artifacts_are_reused_apart_from_what_is_said(release: Release) -> None:
    found = release.changes()
    reasons: dict[str, set[str]] = {}
    for change in found:
        if change.reasons:
            reasons.setdefault(change.stage, set()).update(change.reasons)
    follow = sorted({change.stage for change in found} - set(reasons))
    allowed = RECOMPUTED[release.version]
    surprising = {stage: sorted(reasons[stage]) for stage in reasons.keys() - allowed.keys()}
    advice = ADVICE.format(release=release.version)
    assert not surprising, f"made again of {release.version}: {surprising}, and what is made of it: {follow}. {advice}"
    assert allowed.keys() <= reasons.keys(), f"reused: {allowed.keys() - reasons.keys()}: take it out of RECOMPUTED"
    assert not found or reasons, f"{follow}: other keys of the same recipes"


@pytest.mark.parametrize("stages", RECOMPUTED.values(), ids=RECOMPUTED)
def test_what_is_made_again_is_in_the_changelog(stages: dict[str, str]) -> None:
    changelog = " ".join((ROOT / "CHANGELOG.md").read_text().split())
    for stage, why in stages.items():
        assert why, stage
        assert " ".join(why.split()) in changelog, stage


def test_a_raised_version_is_told_from_what_follows_of_it() -> None:
    release = releases()[-1]
    graph = release.graph()
    plan = recipes_of(graph)
    assert changes(plan, graph) == []
    ((key, recipe),) = plan["judge/charles/ada"].items()
    old = recipe["version"] - 1
    text = json.dumps(plan["rate"])
    assert key in text
    text = text.replace(key, "0" * 32)
    plan["judge/charles/ada"] = {"0" * 32: {**recipe, "version": old}}
    plan["rate"] = {"1" * 32: next(iter(json.loads(text).values()))}
    del plan["report"]
    assert changes(plan, graph) == [
        Change("judge/charles/ada", "judge", (f"version {old} → {old + 1}",)),
        Change("rate", "rate", ()),
        Change("report", "report", ("0 artifacts → 1",)),
    ]
