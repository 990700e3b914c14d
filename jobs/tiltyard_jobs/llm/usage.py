"""What a call to a model cost: requests and tokens, as the server counts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tiltyard_jobs.contracts.reported import MOST, MOST_OF_A_REPLY


class Usage(NamedTuple):
    """Requests and tokens, summed with `+`; `Usage()` is zero.

    Attributes:
        requests: requests sent, repeats included.
        retries: of those, the repeats.
        prompt_tokens: tokens read by the model, cached ones included.
        cached_tokens: of those, the ones served from the server's prefix cache.
        completion_tokens: tokens written by the model.
    """

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:  # type: ignore[override]  # a sum of counts, not of tuples
        """Add field by field, up to `MOST`."""
        return Usage(*(min(one + another, MOST) for one, another in zip(self, other, strict=True)))


def usage_of(reported: object, *, retries: int) -> Usage:
    """The usage of one answered call.

    Args:
        reported: the `usage` member of an OpenAI reply, whatever it is; a count that is absent or no count is zero.
        retries: how often the request was repeated before it was answered.
    """
    if not isinstance(reported, Mapping):
        return Usage(retries + 1, retries)
    details = reported.get("prompt_tokens_details")
    return Usage(
        retries + 1,
        retries,
        _count(reported.get("prompt_tokens")),
        _count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0,
        _count(reported.get("completion_tokens")),
    )


def _count(value: object) -> int:
    if isinstance(value, float) and value.is_integer():  # as gateways send it whose numbers are all floats
        value = int(value)
    return value if type(value) is int and 0 <= value <= MOST_OF_A_REPLY else 0
