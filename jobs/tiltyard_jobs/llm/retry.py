"""When a request is sent again: the policy's numbers, the delays, and a budget for all of an endpoint's retries."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long one record, and one endpoint, are borne with. Times are in seconds.

    Attributes:
        tries: failures in a row (5xx, resets, time-outs) after which a record is given up while others are answered.
            Being told to wait (429, 503) is no failure of the record and is bounded by `deadline` alone.
        deadline: time after which a record is given up, from its first send; a try under way is not cut short.
        endpoint_deadline: time without any answer after which the endpoint counts as dead and the shard ends.
        base_delay: the first retry comes after a random time up to this; the bound doubles with each try.
        max_delay: the most that the bound grows to.
        budget_ratio: retries allowed per request, all of the endpoint's requests together.
        budget_floor: retries per second allowed besides, so that an endpoint that is asked little is still retried.
    """

    tries: int = 10
    deadline: float = 1800.0
    endpoint_deadline: float = 600.0
    base_delay: float = 0.5
    max_delay: float = 30.0
    budget_ratio: float = 0.2
    budget_floor: float = 10.0


def jittered_delay(policy: RetryPolicy, tries: int, rng: random.Random) -> float:
    """Seconds to wait after the `tries`-th try (from 1): exponential backoff with full jitter.

    Uniform below the bound, which spreads clients best (Brooker, "Exponential Backoff And Jitter", AWS 2015).
    """
    bound = policy.base_delay * 2.0 ** min(tries - 1, 30)
    return rng.uniform(0.0, min(bound, policy.max_delay))


class RetryBudget:
    """Keeps retries from multiplying the load on an endpoint that already fails.

    A token bucket as in Finagle and gRPC: each first try adds `ratio` of a token, time adds `floor` tokens a second,
    each retry takes one. Where those give up an exhausted budget's request, here it waits: no record is lost for it.
    """

    def __init__(self, *, ratio: float, floor: float, clock: Callable[[], float]) -> None:
        self._ratio = ratio
        self._floor = floor
        self._clock = clock
        # Ten seconds' worth of the floor may be saved up, so that a burst of failures is retried at once.
        self._capacity = max(10.0 * floor, 10.0)
        self._tokens = self._capacity
        self._filled_at = clock()

    def deposit(self) -> None:
        """Count a first try."""
        self._tokens = min(self._tokens + self._ratio, self._capacity)

    def withdraw(self) -> float:
        """Take a token: 0.0 where there was one; otherwise nothing is taken and these seconds are worth waiting."""
        now = self._clock()
        self._tokens = min(self._tokens + (now - self._filled_at) * self._floor, self._capacity)
        self._filled_at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        # New requests may fill the bucket sooner, so the wait is looked at again at least every second.
        return min((1.0 - self._tokens) / self._floor, 1.0) if self._floor > 0.0 else 1.0
