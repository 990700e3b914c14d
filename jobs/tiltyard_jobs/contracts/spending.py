"""What a run was expected to cost and what it has cost: tokens, GPU time and money, as plans and reports show it.

Money is exact: decimals of one currency. What is not known is None, never 0.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Self, TypeVar

from pydantic import field_serializer

from tiltyard_jobs.contracts.frozen import Contract

AmountT = TypeVar("AmountT", int, Decimal)
_CENT = Decimal("0.01")


class Amounts(Contract):
    """Tokens, GPU time and money.

    Attributes:
        prompt_tokens: tokens read.
        cached_tokens: of those, the ones served from a prefix cache.
        completion_tokens: tokens written.
        gpu_seconds: seconds of GPUs; None: it takes none, or they are not known.
        cost: money; None: it has no price, or what is priced is not known.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    gpu_seconds: int | None = None
    cost: Decimal | None = None

    @field_serializer("cost", when_used="json-unless-none")
    def _plain(self, cost: Decimal) -> str:
        text = f"{cost:f}"  # never with an exponent
        return text.rstrip("0").rstrip(".") if "." in text else text

    def plus(self, other: Self) -> Self:
        """The sum; what only one of the two knows is that one's."""
        return self.model_copy(
            update={
                "prompt_tokens": self.prompt_tokens + other.prompt_tokens,
                "cached_tokens": self.cached_tokens + other.cached_tokens,
                "completion_tokens": self.completion_tokens + other.completion_tokens,
                "gpu_seconds": _sum(self.gpu_seconds, other.gpu_seconds),
                "cost": _sum(self.cost, other.cost),
            }
        )


def _sum(one: AmountT | None, other: AmountT | None) -> AmountT | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


class SpendingRow(Contract):
    """What one model was expected to take and has taken.

    Attributes:
        model: the competitor, the judge, or `base` or `trained`.
        stage: the stage; None: all of them.
        planned: before the run, what it found complete left out.
        happened: so far.
    """

    model: str
    stage: str | None = None
    planned: Amounts = Amounts()
    happened: Amounts = Amounts()


class Spending(Contract):
    """The account of one run.

    Attributes:
        currency: of all money; None: there are no prices.
        stages: tokens, and money of endpoints, by stage and model. A model's GPU time belongs to no one stage.
        models: by model.
        planned: the sum over models.
        happened: likewise.
        notes: what is left out of the sums, a sentence each.
    """

    currency: str | None = None
    stages: tuple[SpendingRow, ...] = ()
    models: tuple[SpendingRow, ...] = ()
    planned: Amounts = Amounts()
    happened: Amounts = Amounts()
    notes: tuple[str, ...] = ()


def rounded(amount: Decimal) -> Decimal:
    """Money with two decimals; of less than a cent, the first two digits that are not 0."""
    step = _CENT
    if 0 < amount < _CENT:
        step = Decimal(1).scaleb(amount.adjusted() - 1)
    return amount.quantize(step, ROUND_HALF_UP)


def money_text(amount: Decimal) -> str:
    """Money for people: rounded, with separators between thousands."""
    return f"{rounded(amount):,f}"


def hours_text(seconds: int) -> str:
    """Seconds as hours: two decimals, or of less than an hour two digits."""
    hours = seconds / 3600
    return f"{hours:,.2f}" if hours >= 0.1 or not hours else f"{hours:.2g}"
