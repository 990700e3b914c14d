from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.rating.jury import (
    Opinions,
    agreement,
    effective,
    opinions_of,
    worth,
)
from tiltyard_jobs.rating.votes import Verdicts

NAN = float("nan")


def of(share: list[list[float]] | np.ndarray) -> Opinions:
    """Battles of players 0 and 1, each on an instruction of its own."""
    table = np.array(share, dtype=np.float64)
    rows = np.arange(len(table))
    return Opinions(rows, np.zeros_like(rows), np.ones_like(rows), table)


def drawn(together: float, judges: int = 3, battles: int = 4000, right: float = 0.7) -> tuple[Opinions, np.ndarray]:
    """Judges that are right so often, and err together with this correlation."""
    rng = np.random.default_rng(3)
    better = rng.uniform(size=battles) < 0.5
    common, own = rng.uniform(size=(battles, 1)), rng.uniform(size=(battles, judges))
    # Two judges that both take the common draw with probability sqrt(together) have that correlation.
    correct = np.where(rng.uniform(size=own.shape) < np.sqrt(together), common, own) < right
    return of((correct == better[:, None]).astype(np.float64)), better


def test_a_judges_opinion_is_the_mean_of_its_orders() -> None:
    verdicts = Verdicts(
        instruction=np.array([7, 7, 7, 9]),
        attacker=np.array([1, 1, 1, 0]),
        defender=np.array([0, 0, 0, 1]),
        judge=np.array([0, 0, 1, 1]),
        attacker_first=np.array([True, False, True, True]),
        vote=np.array([1.0, 0.5, NAN, 0.25]),
        players=2,
        judges=2,
    )
    found = opinions_of(verdicts)
    assert (found.instruction.tolist(), found.attacker.tolist()) == ([0, 1], [1, 0])
    assert np.array_equal(found.share, [[0.75, NAN], [NAN, 0.25]], equal_nan=True)


@pytest.mark.parametrize("together", [0.0, 0.4, 1.0])
def test_the_effective_number_of_votes_is_that_of_the_planted_correlation(together: float) -> None:
    found = worth(*drawn(together))
    assert found.correlation == pytest.approx(together, abs=0.04)
    assert found.votes.value[0] == pytest.approx(3 / (1 + 2 * together), abs=0.2)
    assert found.votes.low[0] <= found.votes.value[0] <= found.votes.high[0]
    assert found.right.value[:3] == pytest.approx([0.7] * 3, abs=0.03)
    assert found.independent == pytest.approx(0.7**3 + 3 * 0.7**2 * 0.3, abs=0.02)
    alike = {0.0: 0.784, 1.0: 0.7}.get(together)
    assert alike is None or found.right.value[3] == pytest.approx(alike, abs=0.02)


def test_worth_by_hand() -> None:
    """Three battles that the attacker won, and one that nobody judged; the jury is right, right and tied."""
    found = worth(of([[1.0, 0.5], [0.5, 1.0], [0.0, 1.0], [NAN, NAN]]), np.ones(4, dtype=np.bool_))
    assert (found.battles, found.judges) == (3, 2.0)
    assert found.right.value.tolist() == pytest.approx([0.5, 2.5 / 3, 2.5 / 3])
    # Without the first judge it is tied, right, right: no more, no less.
    assert found.gain.value.tolist() == pytest.approx([0.0, (0.5 + 1.0 + 1.0 - (1.0 + 0.5 + 0.0)) / 3])
    assert found.independent == pytest.approx(
        # first 1, .5, 0 and second .5, 1, 1, drawn apart: the sum exceeds one, or is one for a half
        (1 / 3) * (2 / 3 + 1 / 3) + (1 / 3) * (2 / 3 + (1 / 3) / 2) + (1 / 3) * (2 / 3) / 2
    )


def test_a_judge_by_chance_adds_nothing_to_good_ones() -> None:
    opinions, better = drawn(0.0, judges=4, right=0.8)
    chance = np.random.default_rng(4).integers(0, 2, len(better)).astype(np.float64)
    share = np.concatenate([opinions.share, chance[:, None]], axis=1)
    found = worth(opinions._replace(share=share), better)
    assert found.adds_nothing.tolist() == [False] * 4 + [True] or found.gain.value[4] < 0.01
    assert found.gain.value[:4].min() > 0.0


def test_agreement_is_krippendorffs_published_example() -> None:
    """Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: interval data, alpha 0.849."""
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
    assert agreement(of(np.array(observers).T)) == pytest.approx(0.849, abs=5e-4)
    assert np.isnan(agreement(of([[1.0, NAN], [NAN, 0.0]])))
    assert np.isnan(agreement(of([[1.0, 1.0], [1.0, 1.0]])))


@given(
    seed=st.integers(0, 2**32 - 1),
    battles=st.integers(2, 25),
    judges=st.integers(2, 6),
    steps=st.sampled_from([2, 12, 0]),
)
@settings(deadline=None, max_examples=50)
def test_agreement_is_that_of_the_package_krippendorff(seed: int, battles: int, judges: int, steps: int) -> None:
    """Graded votes, or votes in steps, with gaps. Why it is a peer and no dependency: design 0010."""
    rng = np.random.default_rng(seed)
    share = np.clip(rng.uniform(size=(battles, 1)) + rng.normal(0.0, 0.2, (battles, judges)), 0.0, 1.0)
    share = np.round(share * steps) / steps if steps else share
    share[rng.uniform(size=share.shape) < 0.3] = NAN
    paired = share[(~np.isnan(share)).sum(axis=1) > 1]
    if len(np.unique(paired[~np.isnan(paired)])) < 2:
        assert np.isnan(agreement(of(share)))
        return
    theirs = krippendorff.alpha(reliability_data=share.T, level_of_measurement="interval")
    assert agreement(of(share)) == pytest.approx(theirs, abs=1e-12)


def test_what_cannot_be_told_is_not() -> None:
    assert np.isnan(worth(of([[1.0, NAN], [0.0, NAN]]), np.array([True, True])).correlation)
    assert np.isnan(effective(3.0, NAN))
    assert effective(3.0, -0.4) == 3.0  # never more votes than judges
    lone = worth(of([[1.0, 0.0]]), np.array([True]))
    assert np.isnan(lone.right.low).all()


def test_no_battle_at_all() -> None:
    none = worth(of(np.zeros((0, 3))), np.zeros(0, dtype=np.bool_))
    assert none.battles == 0
    assert np.isnan(none.votes.value).all()
    assert np.isnan(none.right.value).all()


def test_what_never_changes_is_not_known_for_sure() -> None:
    """Of 40 battles a judge decides none and all are right: nobody can tell that it is so in the next ones."""
    share = np.ones((40, 3))
    found = worth(Opinions(np.arange(40), np.zeros(40, int), np.ones(40, int), share), np.ones(40, dtype=np.bool_))
    hidden = 1 - 0.05 ** (1 / 40)
    assert found.gain.value.tolist() == [0, 0, 0]
    assert found.gain.high == pytest.approx([hidden] * 3)
    assert found.right.low == pytest.approx([1 - hidden] * 4)
    assert found.right.high.tolist() == [1] * 4
    assert not found.adds_nothing.any()
