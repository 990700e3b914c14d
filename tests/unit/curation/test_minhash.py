import numpy as np
import pytest

from tiltyard_jobs.curation import minhash as module
from tiltyard_jobs.curation.minhash import RECALL_AT_THRESHOLD, Bands, band_keys, choose_bands
from tiltyard_jobs.curation.shingles import ShingleSets, mix, shingle_sets


@pytest.mark.parametrize(
    ("threshold", "bands"), [(0.5, Bands(18, 3)), (0.7, Bands(19, 6)), (0.8, Bands(13, 8)), (1.0, Bands(1, 128))]
)
def test_bands(threshold: float, bands: Bands) -> None:
    assert choose_bands(threshold, 128) == bands
    assert bands.candidate_probability(threshold) >= RECALL_AT_THRESHOLD


def test_a_low_threshold_falls_back_to_single_rows() -> None:
    assert choose_bands(0.01, 16) == Bands(16, 1)


@pytest.mark.parametrize(("threshold", "permutations"), [(0.0, 128), (1.1, 128), (0.5, 0)])
def test_bands_refuse_nonsense(threshold: float, permutations: int) -> None:
    with pytest.raises(ValueError, match="must"):
        choose_bands(threshold, permutations)


def test_a_key_does_not_hang_on_the_sets_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [" ".join(f"word{number}" for number in range(start, 3 * start + 1)) for start in range(60)]
    together = band_keys(shingle_sets(texts), Bands(4, 3))
    alone = [band_keys(shingle_sets([text]), Bands(4, 3))[:, 0] for text in texts]
    assert np.array_equal(together, np.stack(alone, axis=1))
    monkeypatch.setattr(module, "_CHUNK", 7)
    monkeypatch.setattr(module, "_CELLS", 300)
    assert np.array_equal(band_keys(shingle_sets(texts), Bands(4, 3)), together)


def pairs_with_jaccard(pairs: int, shared: int, own: int) -> ShingleSets:
    """`pairs` pairs of sets that share `shared` hashes and have `own` more each."""
    drawn = mix(np.arange(pairs * (shared + 2 * own), dtype=np.uint64)) >> np.uint64(12)
    rows = drawn.reshape(pairs, shared + 2 * own)
    left, right = rows[:, : shared + own], np.concatenate([rows[:, :shared], rows[:, shared + own :]], axis=1)
    both = np.sort(np.stack([left, right], axis=1).reshape(2 * pairs, shared + own), axis=1)
    return ShingleSets(both.reshape(-1), np.arange(0, both.size + 1, shared + own))


def test_agreement_has_the_mean_and_the_spread_of_independent_permutations() -> None:
    pairs, minima = 2000, 64
    keys = band_keys(pairs_with_jaccard(pairs, 20, 10), Bands(minima, 1))  # J = 20 / 40
    agreements = (keys[:, 0::2] == keys[:, 1::2]).sum(axis=0)
    assert agreements.mean() == pytest.approx(minima * 0.5, rel=0.02)
    assert agreements.var() == pytest.approx(minima * 0.25, rel=0.15)


def test_candidates_come_as_often_as_the_formula_says() -> None:
    bands = Bands(18, 3)
    for shared, own in ((20, 10), (12, 14), (30, 3)):
        keys = band_keys(pairs_with_jaccard(2000, shared, own), bands)
        found = (keys[:, 0::2] == keys[:, 1::2]).any(axis=0).mean()
        assert found == pytest.approx(bands.candidate_probability(shared / (shared + 2 * own)), abs=0.03)
