from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tiltyard_jobs.rating import bootstrap
from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.bradley_terry import bradley_terry
from tiltyard_jobs.rating.elo import POINTS_PER_NAT

Resample = Callable[..., bootstrap.Intervals]
BOTH = pytest.mark.parametrize("resample", [bootstrap.clustered, bootstrap.plain])


@BOTH
def test_seeded(resample: Resample, make_battles: Callable[..., Battles]) -> None:
    battles = make_battles()
    first, again, other = (resample(battles, seed=seed, samples=20) for seed in (1, 1, 2))
    assert_array_equal(first.samples, again.samples)
    assert not np.array_equal(first.samples, other.samples)


@BOTH
def test_blocks_of_samples_differ(
    resample: Resample, make_battles: Callable[..., Battles], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "_TABLE_ENTRIES", 75)  # three samples of five players
    samples = resample(make_battles(), seed=0, samples=20).samples
    assert len(np.unique(samples, axis=0)) == 20


@BOTH
def test_every_sample_is_centred_and_the_interval_is_its_percentiles(
    resample: Resample, make_battles: Callable[..., Battles]
) -> None:
    result = resample(make_battles(), seed=0, samples=300)
    assert_allclose(result.samples.mean(axis=1), 1000.0, rtol=1e-12)
    assert_allclose(result.low, np.percentile(result.samples, 2.5, axis=0))
    assert_allclose(result.high, np.percentile(result.samples, 97.5, axis=0))


@BOTH
def test_two_players_have_the_binomial_interval(resample: Resample) -> None:
    # 600 of 1,000 battles won, each on an instruction of its own: both ways resample a binomial. The log-odds then
    # have a standard error of 1 / sqrt(n p q), and each player half the difference.
    won = (np.arange(1000) < 600).astype(np.float64)
    battles = Battles(np.arange(1000), np.zeros(1000, np.int64), np.ones(1000, np.int64), won, 2)
    result = resample(battles, seed=0, samples=4000)
    error = POINTS_PER_NAT / 2 / np.sqrt(1000 * 0.6 * 0.4)
    assert_allclose(result.samples.std(axis=0), error, rtol=0.05)
    assert_allclose(result.high - result.low, 2 * 1.96 * error, rtol=0.06)
    assert_allclose(result.samples.mean(axis=0), bradley_terry(battles).ratings, atol=0.05 * error)


def test_clustered_sees_that_verdicts_on_one_instruction_hang_together() -> None:
    # The same 250 outcomes four times each: four times the rows, no more to learn from. The clustered interval stays,
    # the plain one halves.
    rng = np.random.default_rng(0)
    won = (rng.random(250) < 0.6).astype(np.float64)
    once = Battles(np.arange(250), np.zeros(250, np.int64), np.ones(250, np.int64), won, 2)
    often = once.select(np.repeat(np.arange(250), 4))

    def width(resample: Resample, battles: Battles) -> float:
        result = resample(battles, seed=0, samples=2000)
        return float(result.high[0] - result.low[0])

    assert_allclose(width(bootstrap.clustered, often), width(bootstrap.clustered, once), rtol=1e-9)
    assert_allclose(width(bootstrap.plain, often), width(bootstrap.plain, once) / 2, rtol=0.1)


def test_clustered_samples_are_fits_of_resampled_rows(make_battles: Callable[..., Battles]) -> None:
    """The product of counts and pair tables gives what drawing the instructions' rows out would."""
    battles = make_battles(4, 30, seed=3)
    uneven = np.random.default_rng(0).random(len(battles.score)) < 0.8  # some battles void, some instructions short
    battles = battles.select(uneven)
    result = bootstrap.clustered(battles, seed=9, samples=5)
    names = np.unique(battles.instruction)
    owner = np.array([battles.player_a[battles.instruction == name].min() for name in names])
    names = names[np.argsort(owner, kind="stable")]
    rng = np.random.default_rng([9, 0])
    for sample in result.samples:
        drawn = names[rng.integers(0, len(names), len(names))]
        rows = np.concatenate([np.flatnonzero(battles.instruction == name) for name in drawn])
        expected = bradley_terry(battles.select(rows))
        assert_allclose(sample, expected.ratings, atol=1e-6)


def test_each_block_of_samples_has_a_stream_of_its_own(
    make_battles: Callable[..., Battles], monkeypatch: pytest.MonkeyPatch
) -> None:
    battles, block = make_battles(4, 12), 3
    monkeypatch.setattr(bootstrap, "_TABLE_ENTRIES", block * 16 + 15)
    by_tables = bootstrap.clustered(battles, seed=9, samples=8).samples
    monkeypatch.setattr(bootstrap, "_TABLE_ENTRIES", 10**9)
    monkeypatch.setattr(bootstrap, "_COUNT_ENTRIES", block * 12 + 11)
    by_counts = bootstrap.clustered(battles, seed=9, samples=8).samples
    assert_allclose(by_tables, by_counts, atol=1e-6)
    names = np.arange(12)[np.argsort(np.arange(12) % 4, kind="stable")]  # by attacker
    for first in range(0, 8, block):
        rng = np.random.default_rng([9, first // block])
        for sample in by_tables[first : first + block]:
            drawn = names[rng.integers(0, 12, 12)]
            rows = np.concatenate([np.flatnonzero(battles.instruction == name) for name in drawn])
            assert_allclose(sample, bradley_terry(battles.select(rows)).ratings, atol=1e-6)


def test_one_sample_and_two_instructions_are_enough(make_battles: Callable[..., Battles]) -> None:
    result = bootstrap.clustered(make_battles(2, 2), seed=1, samples=1)
    assert_array_equal(result.low, result.high)
    assert np.isfinite(result.low).all()


@BOTH
def test_what_is_no_battle_is_refused(resample: Resample, make_battles: Callable[..., Battles]) -> None:
    battles = make_battles()
    with pytest.raises(ValueError, match="against itself"):
        resample(battles._replace(player_b=battles.player_a), seed=0, samples=5)


@pytest.mark.parametrize("depth", [1, 7])
def test_slices_of_the_product_do_not_show(
    depth: int, make_battles: Callable[..., Battles], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bootstrap.clustered(make_battles(), seed=0, samples=10)
    monkeypatch.setattr(bootstrap, "_ONE_THREAD", 0)
    monkeypatch.setattr(bootstrap, "_LEAST_DEPTH", depth)
    assert_allclose(bootstrap.clustered(make_battles(), seed=0, samples=10).samples, whole.samples, rtol=1e-10)


def test_all_pairs_have_one_block(make_battles: Callable[..., Battles]) -> None:
    a, b = np.triu_indices(4, 1)
    rng = np.random.default_rng(0)
    battles = Battles(np.repeat(np.arange(50), 6), np.tile(a, 50), np.tile(b, 50), rng.integers(0, 3, 300) / 2, 4)
    result = bootstrap.clustered(battles, seed=0, samples=200)
    ratings = bradley_terry(battles).ratings
    assert ((result.low < ratings) & (ratings < result.high)).all()


def test_samples_that_lose_a_bridge_do_not_count() -> None:
    # Players {0, 1} and {2, 3} are joined by one instruction alone: 37% of the samples are without it.
    a = np.array([0, 0, 2, 2, 0, 3] * 2)
    b = np.array([1, 1, 3, 3, 2, 0] * 2)
    score = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 1.0] * 2)
    instruction = np.array([0, 1, 2, 3, 9, 9, 4, 5, 6, 7, 9, 9])
    result = bootstrap.clustered(Battles(instruction, a, b, score, 4), seed=0, samples=400)
    lost = np.isnan(result.samples).all(axis=1)
    assert 0.3 < lost.mean() < 0.45
    assert np.isfinite(result.samples[~lost]).all(axis=1).mean() > 0.9
    assert np.isfinite(result.low).all()
    assert (result.low <= result.high).all()


@BOTH
def test_undefeated_player_has_a_finite_interval(resample: Resample) -> None:
    a, b = np.array([0, 0, 1] * 20), np.array([1, 2, 2] * 20)
    score = np.where(a == 0, 1.0, np.arange(60) % 2)
    result = resample(Battles(np.arange(60) // 3, a, b, score, 3), seed=0, samples=100)
    assert np.isfinite(result.samples).all()
    assert result.low[0] > result.high[1:].max()


@BOTH
@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_to_resample_gives_no_interval(resample: Resample, rows: int) -> None:
    battles = Battles(np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.ones(rows, np.int64), np.ones(rows), 3)
    result = resample(battles, seed=0, samples=10)
    assert np.isnan(result.low).all()
    assert np.isnan(result.high).all()


@BOTH
def test_absent_player_has_no_interval(resample: Resample, make_battles: Callable[..., Battles]) -> None:
    battles = make_battles(3)._replace(players=4)
    result = resample(battles, seed=0, samples=10)
    assert np.isnan(result.low).tolist() == [False, False, False, True]


@BOTH
def test_samples_must_be_positive(resample: Resample, make_battles: Callable[..., Battles]) -> None:
    with pytest.raises(ValueError, match="samples is 0"):
        resample(make_battles(), seed=0, samples=0)
