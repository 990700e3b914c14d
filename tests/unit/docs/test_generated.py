"""The reference of the manifest is what the models and the refusals say."""

from __future__ import annotations

import generate_manifest_docs
from support.documents import ROOT
from tiltyard.api.places import NOT_YET, NOT_YET_ON_CLUSTER


def test_the_manifests_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/manifest.md").read_text() == generate_manifest_docs.page(), generate_manifest_docs.COMMAND


def test_it_has_everything_that_is_refused_for_now() -> None:
    text = generate_manifest_docs.page()
    assert all(f"`{limit.path}`" in text and limit.sentence in text for limit in (*NOT_YET, *NOT_YET_ON_CLUSTER))
