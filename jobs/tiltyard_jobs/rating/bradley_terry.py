"""Bradley-Terry strengths by maximum likelihood, for many tables of pair wins at once.

P(A beats B) = 1 / (1 + exp(s_B - s_A)); a tie counts as half a win to each side and a local score of 0.7 as 0.7 of a
win, which is what Chatbot Arena's published code (FastChat, arena-rank) fits too, so the ratings are the same. Only the
sums of the wins per pair enter the likelihood: a fit costs the same for a thousand outcomes as for a million.

Where no maximum exists. By Ford's condition (L. R. Ford, American Mathematical Monthly 64, 1957) the maximum is finite
and unique if every player can be reached from every other along wins. Two cases break it:

- A player, or a group, won (or lost) everything against the rest: the likelihood grows without bound. The strengths of
  that component, and of no other, then get a normal prior of standard deviation 10 (1,737 points): weaker than the
  least that a vote can say, so that a real win or loss in its place moves the rating towards its side. Each such group
  has a label: between groups the ratings say 'far above', not how far.
- The graph of who met whom falls apart: nothing compares its components. Each is centred on 1000 by itself and has a
  label, so that a reader can tell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tiltyard_jobs.rating.battles import Battles, pair_wins
from tiltyard_jobs.rating.elo import CENTRE, POINTS_PER_NAT

# A share of a pair's score below this counts as no win at all: odds of a thousand million to one (3,600 points) would
# only make the equations ill-conditioned. A real vote among fewer battles than that is far larger.
_NO_WIN = 1e-9
# Across a cut between the better and the worse players, a lower side with less than half a battle, and less than a
# twentieth of what was fought, has won nothing that could be told from nothing.
_HARDLY_WON = 0.5
_HARDLY_A_SHARE = 0.05
# Of the normal prior on a strength in nats, where there is one; flat for all but such players.
PRIOR_PRECISION = 1.0 / 10.0**2
# Newton converges quadratically: after a step below this (in nats) the error is about its square.
_LAST_STEP = 1e-6
_MAX_STEPS = 200


class BradleyTerryRatings(NamedTuple):
    """Ratings in points, each component centred on 1000."""

    ratings: NDArray[np.float64]
    """(N,); NaN for a player without a battle."""
    component: NDArray[np.int64]
    """(N,): lowest player that this one is compared with, directly or through others; equal labels are comparable."""
    group: NDArray[np.int64]
    """(N,): lowest player whose difference from this one the votes bound on both sides; where the labels of two
    players of a component differ, the votes say which is far above, but not how far (see `reach`)."""


class Connectivity(NamedTuple):
    """What B tables of pair wins can tell about N players."""

    same: NDArray[np.bool_]
    """(B, N, N): the two are in one component of the graph of who met whom."""
    bounded: NDArray[np.bool_]
    """(B, N, N): wins lead from either to the other, so that the data bound their difference."""

    def prior_precision(self) -> NDArray[np.float64]:
        """(B, N): of the prior on each strength; zero in components that have a finite maximum."""
        return np.where((self.same == self.bounded).all(axis=2), 0.0, PRIOR_PRECISION)


def bradley_terry(battles: Battles) -> BradleyTerryRatings:
    """Rate by maximum likelihood.

    Raises:
        ValueError: the battles are not battles (see `Battles.checked`).
    """
    wins = pair_wins(battles.checked())[None]
    graph = connectivity(wins)
    strength = fit(wins, graph)
    ratings = to_points(strength, graph.same)[0]
    ratings[~played(wins)[0]] = np.nan
    within = reach(wins[0], graph.same[0], strength[0])
    return BradleyTerryRatings(
        ratings=ratings,
        component=graph.same[0].argmax(axis=1),
        group=(within & within.T).argmax(axis=1),
    )


def reach(wins: NDArray[np.float64], same: NDArray[np.bool_], strength: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N, N): wins that count lead from the row's player to the column's, so that the votes bound its lead from below.

    Wins across a cut between the better and the worse players do not count where there are hardly any: shares of votes
    that add up to less than half a battle bound nothing, though the likelihood has a maximum.

    Args:
        wins: (N, N).
        same: (N, N), of `Connectivity`.
        strength: (N,).
    """
    above = same & (strength[None, :] >= strength[:, None])  # (cut, player)
    below = same & ~above
    won = np.einsum("ci,ij,cj->c", below, wins, above)
    fought = won + np.einsum("ci,ij,cj->c", above, wins, below)
    hardly = (won < _HARDLY_WON) & (won < _HARDLY_A_SHARE * fought)
    ignored = np.einsum("ci,cj->ij", (below & hardly[:, None]).astype(np.float64), above.astype(np.float64)) > 0.0
    beats = (wins > _NO_WIN * (wins + wins.T)) & ~ignored
    closed: NDArray[np.bool_] = _closure(beats[None])[0]
    return closed


def connectivity(wins: NDArray[np.float64]) -> Connectivity:
    """Which differences each table speaks of, and which it bounds.

    Args:
        wins: (B, N, N), wins of the row's player over the column's, not negative.
    """
    size = wins.shape[-1]
    beats = wins > _NO_WIN * (wins + wins.swapaxes(1, 2))
    # Tables resampled from the same data mostly have the same pattern: solve each pattern once.
    number: dict[bytes, int] = {}
    table = [number.setdefault(pattern.tobytes(), len(number)) for pattern in beats]
    beats = np.frombuffer(b"".join(number), dtype=np.bool_).reshape(-1, size, size)
    met = beats | beats.swapaxes(1, 2)
    reachable = _closure(beats)
    bounded = reachable & reachable.swapaxes(1, 2)
    return Connectivity(_closure(met)[table], bounded[table])


def fit(
    wins: NDArray[np.float64],
    graph: Connectivity,
    start: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Maximum-likelihood strengths of B tables at once, by damped Newton steps.

    The log-likelihood along a step of reach r (the largest change it makes to any difference of strengths) has a third
    derivative of at most r times its second, so that taking ln(1 + r) / r of the Newton step always gains: no line
    search, convergence from any start, and quadratic at the end, where the factor tends to 1 (generalised
    self-concordance: Sun and Tran-Dinh, Mathematical Programming 178, 2019).

    Args:
        wins: (B, N, N), wins of the row's player over the column's, not negative.
        graph: of the same tables.
        start: (N,) strengths in nats to start from; zeros if None.

    Returns:
        (B, N) strengths in nats, up to a constant in each component.

    Raises:
        ArithmeticError: no convergence, which a finite maximum rules out.
    """
    size = wins.shape[-1]
    games = wins + wins.swapaxes(1, 2)
    won = wins.sum(axis=2)
    strength = np.zeros((len(wins), size)) if start is None else np.tile(start, (len(wins), 1))
    diagonal = np.arange(size)
    precision = graph.prior_precision()
    # The likelihood is flat along a shift of a whole component: this fills that direction of the Hessian.
    fill = graph.same.astype(np.float64)
    fill[:, diagonal, diagonal] += precision
    for _ in range(_MAX_STEPS):
        probability = expit(strength[:, :, None] - strength[:, None, :])
        expected = games * probability
        gradient = won - expected.sum(axis=2) - precision * strength
        information = expected * (1.0 - probability)
        hessian = fill - information
        hessian[:, diagonal, diagonal] += information.sum(axis=2)
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        reach = step.max(axis=1) - step.min(axis=1)
        strength += step * damping(reach)[:, None]
        if reach.max(initial=0.0) < _LAST_STEP:
            return strength
    raise ArithmeticError(f"no convergence of the Bradley-Terry fit after {_MAX_STEPS} steps")


def damping(reach: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(1 + r) / r, and 1 at zero: the share of a Newton step that is sure to gain (see `fit`)."""
    return np.divide(np.log1p(reach), reach, out=np.ones_like(reach), where=reach > 0.0)


def to_points(strength: NDArray[np.float64], same: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Ratings in points, (B, N), from strengths in nats, each component of `same` (B, N, N) centred on 1000."""
    weight = same / same.sum(axis=2, keepdims=True)
    centre = (weight @ strength[..., None])[..., 0]
    points: NDArray[np.float64] = (strength - centre) * POINTS_PER_NAT + CENTRE
    return points


def played(wins: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(B, N): the player has a battle in the table."""
    games = wins + wins.swapaxes(1, 2)
    some: NDArray[np.bool_] = np.any(games > 0.0, axis=2)
    return some


def _closure(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Reflexive transitive closure of B graphs, (B, N, N), by repeated squaring."""
    size = edges.shape[-1]
    reach = (edges | np.eye(size, dtype=np.bool_)).astype(np.float32)
    for _ in range(max(size - 1, 1).bit_length()):
        reach = (reach @ reach > 0.0).astype(np.float32)
    return reach > 0.0
