"""Faults on purpose. What goes wrong depends on the request's body and on how often it was sent, never on the clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.sim.chance import Chance


class Fault(StrEnum):
    """What can go wrong with a request; its value stands in the request log."""

    TOO_MANY = "429"  # refused with Retry-After
    INTERNAL = "500"
    HANG = "hang"  # no reply until the client goes away
    CUT = "cut"  # the connection is closed in mid body
    GARBAGE = "garbage"  # 200 with a body that is no reply
    OVERLONG = "overlong"  # a reply of a megabyte
    EXIT = "exit"  # the process ends with code 0, as vLLM's does when its engine dies


class FaultPlan:
    """Which fault meets which attempt.

    Args:
        rates: probability of each fault, for each attempt anew; below a sum of 1, a retry passes in the end.
        seed: another seed, other faults.

    Raises:
        ConfigurationError: a rate outside [0, 1], or a sum above 1.
    """

    def __init__(self, rates: Mapping[Fault, float], seed: int = 0) -> None:
        for fault, rate in rates.items():
            if not 0 <= rate <= 1:
                raise ConfigurationError(f"--fault-{fault} is {rate:g}, but must be a probability from 0 to 1")
        if sum(rates.values()) > 1 + 1e-9:
            raise ConfigurationError(f"the fault probabilities sum to {sum(rates.values()):g}, but must not exceed 1")
        self._rates = [(fault, rates[fault]) for fault in Fault if rates.get(fault, 0) > 0]
        self._seed = seed
        self._attempts: Counter[str] = Counter()

    def next_fault(self, digest: str) -> Fault | None:
        """The fault that meets this attempt at the request with this digest; None: it is served well.

        Attempts are counted since the process began.
        """
        if not self._rates:
            return None
        self._attempts[digest] += 1
        mark = Chance("fault", self._seed, digest, self._attempts[digest]).unit()
        for fault, rate in self._rates:
            mark -= rate
            if mark < 0:
                return fault
        return None
