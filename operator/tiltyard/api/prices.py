"""What models cost: the hours of their GPUs, and the tokens of endpoints."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import MAP_BY_NAME, ApiModel
from tiltyard.api.resources import GPU_IN_CEL, GPU_NAMES, is_gpu
from tiltyard.api.rules import Rule, Violation, repeated
from tiltyard.api.scalars import ParticipantName
from tiltyard.api.shapes import Fraction, Text

Price = Annotated[Decimal, Fraction("0", "1000000000")]
Currency = Annotated[str, Text("three capital letters, such as USD or EUR (ISO 4217)", "[A-Z]{3}", 3)]

GPUS_BY_NAME: Rule[Prices] = Rule(
    f"must be the name of a GPU's resource: {GPU_NAMES}",
    lambda prices: (Violation(("gpuHours", name), f'"{name}"') for name in prices.gpu_hours if not is_gpu(name)),
    cel=f"!has(self.gpuHours) || self.gpuHours.all(name, {GPU_IN_CEL})",
    field_path=".gpuHours",
)

# The CRD says it by the type of the list.
ONE_PRICE: Rule[Prices] = Rule(
    "must be priced once: remove the other price of this endpoint",
    lambda prices: repeated("endpoints", "name", (price.name for price in prices.endpoints)),
)


class EndpointPrice(ApiModel):
    """What the tokens of one endpoint cost."""

    name: ParticipantName
    """The competitor or judge whose endpoint it is."""
    prompt_tokens: Price
    """The price of a million prompt tokens."""
    cached_tokens: Price | None = None
    """The price of a million prompt tokens that were served from a prefix cache. Absent: that of other prompt
    tokens."""
    completion_tokens: Price
    """The price of a million completion tokens."""


class Prices(ApiModel):
    """What models cost. Prices change no result: none is in a key."""

    RULES = (GPUS_BY_NAME, ONE_PRICE)

    currency: Currency
    """The currency of all prices: three capital letters, such as USD."""
    gpu_hours: Annotated[dict[str, Price], Field(max_length=32)] = Field(default_factory=dict)
    """The price of an hour of one GPU by the name of its resource, for example `nvidia.com/gpu: "2.50"`. A model takes
    the GPUs of its `serving.resources` from its start to its end. Hours of resources that are not listed are counted
    without a price."""
    endpoints: Annotated[tuple[EndpointPrice, ...], Field(max_length=64, json_schema_extra=MAP_BY_NAME)] = ()
    """The prices of endpoints. Tokens of endpoints that are not listed are counted without a price."""
