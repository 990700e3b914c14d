"""What a stage says where texts cannot be embedded."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import pytest

from tiltyard_jobs.contracts.recipes import EmbedderRecipe
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.stages.embedding import embed_texts


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("", "it is not installed; install the extra tiltyard[embeddings], or give HashedNgrams or an endpoint"),
        (
            "registry.example/worker:1",
            "the image registry.example/worker:1 does not have it; build the image worker-full and name it in the"
            " chart's worker.image, or give HashedNgrams or an endpoint",
        ),
    ],
)
def test_a_missing_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, image: str, words: str) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.setenv("TILTYARD_IMAGE", image)
    recipe = EmbedderRecipe(method="SentenceTransformers", model="any")
    with pytest.raises(ConfigurationError) as raised:
        asyncio.run(embed_texts(cast("Any", None), recipe, ["text"]))
    needs = "spec.curation.diversity.embedder.method: SentenceTransformers needs the package sentence-transformers, and"
    assert str(raised.value) == f"{needs} {words}"
