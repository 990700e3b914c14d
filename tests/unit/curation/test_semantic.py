import numpy as np
import pytest
from numpy.typing import NDArray

from tiltyard_jobs.curation import semantic as module
from tiltyard_jobs.curation.semantic import deduplicate_embeddings

Vectors = NDArray[np.float32]


def clustered(count: int, seed: int) -> Vectors:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((20, 6))[rng.integers(0, 20, count)] + rng.standard_normal((count, 6)) * 0.4
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def step_by_step(vectors: Vectors, threshold: float, fixed: int) -> list[int]:
    wide = vectors.astype(np.float64)
    twins: list[int] = []
    for row in range(len(wide)):
        near = [other for other in range(row) if twins[other] < 0 and wide[row] @ wide[other] >= threshold]
        twins.append(near[0] if near and row >= fixed else -1)
    return twins


@pytest.mark.parametrize("fixed", [0, 50])
@pytest.mark.parametrize("threshold", [0.7, 0.95])
def test_equals_the_rule_step_by_step(monkeypatch: pytest.MonkeyPatch, threshold: float, fixed: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", 16)
    vectors = clustered(200, 4)
    result = deduplicate_embeddings(vectors[fixed:], threshold=threshold, earlier=vectors[:fixed])
    twins = np.where(result.twin >= 0, result.twin + fixed, result.earlier_twin).tolist()
    assert twins == step_by_step(vectors, threshold, fixed)[fixed:]
    assert 3 < result.kept.sum() < 200 - fixed


def test_a_similarity_of_just_the_threshold_is_a_twin() -> None:
    vectors = np.array([[1, 0], [0.5, 0.75**0.5], [0.25, 0.9375**0.5]], dtype=np.float32)
    assert deduplicate_embeddings(vectors[[0, 1]], threshold=0.5).twin.tolist() == [-1, 0]
    assert deduplicate_embeddings(vectors[[0, 2]], threshold=0.25000001).twin.tolist() == [-1, -1]


def test_ends() -> None:
    vectors = clustered(3, 0)
    assert deduplicate_embeddings(vectors[:0], threshold=0.9).kept.size == 0
    with pytest.raises(ValueError, match="threshold"):
        deduplicate_embeddings(vectors, threshold=0.0)
    with pytest.raises(ValueError, match="columns"):
        deduplicate_embeddings(vectors, threshold=0.9, earlier=np.ones((1, 2), dtype=np.float32))
