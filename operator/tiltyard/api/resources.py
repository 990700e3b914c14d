"""The resources of a container: their names, amounts and what Kubernetes asks of both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import Line, QuantityText, parse_quantity
from tiltyard.api.shapes import matches

Quantities = Annotated[dict[Line, QuantityText], Field(max_length=16)]

_GPU = "(nvidia[.]com/(gpu|gpu[.]shared|mig-.+)|amd[.]com/gpu.*|habana[.]ai/gaudi|intel[.]com/gpu|gpu[.]intel[.]com/.+)"
_GPU_SHARE = "gpu[.]intel[.]com/.*(_monitoring|millicores|memory[.]max|tiles)"
"""Names of the resources that device plugins give to GPUs. Intel's others are shares of one."""
GPU_NAMES = (
    "nvidia.com/gpu, nvidia.com/gpu.shared, nvidia.com/mig-PROFILE, amd.com/gpu, habana.ai/gaudi, intel.com/gpu or"
    " gpu.intel.com/NAME"
)
"""The same for people."""


def is_gpu(name: str) -> bool:
    """Whether a resource is a GPU, whole or in parts."""
    return re.fullmatch(_GPU, name) is not None and re.fullmatch(_GPU_SHARE, name) is None


GPU_IN_CEL = f"name.matches('^{_GPU}$') && !name.matches('^{_GPU_SHARE}$')"
"""The same for a `name` in CEL."""
LONGEST_NAME = 253
"""Characters of a resource's name: those of a `Line`. A schema has no words for keys, so a rule says it in the CRD."""


_RESOURCE = r"(cpu|memory|ephemeral-storage|hugepages-[^/\s]+|[^/\s]+/[^/\s]+)"
_MISSPELT = r"((nvidia|amd|intel)/.*|(nvidia|amd|intel)[.]com/(gpus|GPUs?))"
"""Names that Kubernetes takes and no device plugin gives: a pod that asks for one waits for good."""
RESOURCES_BY_NAME = (
    "must be the name of a resource in Kubernetes: cpu, memory, ephemeral-storage, hugepages-SIZE or DOMAIN/NAME, such"
    " as nvidia.com/gpu"
)


def unknown_resources(field: str, names: Iterable[str]) -> Iterator[Violation]:
    """The names that Kubernetes gives to no resource of a container, or nobody to a GPU."""
    for name in names:
        if not matches(_RESOURCE, name) or matches(_MISSPELT, name):
            yield Violation((field, name), f'"{name}"')


def resources_by_name(field: str) -> str:
    """The same for a mapping in CEL."""
    known, misspelt = (f"name.matches('^{pattern}$')".replace("\\", "\\\\") for pattern in (_RESOURCE, _MISSPELT))
    return f"!has(self.{field}) || self.{field}.all(name, name.size() <= {LONGEST_NAME} && {known} && !{misspelt})"


def _known_limits(resources: Resources) -> Iterator[Violation]:
    return unknown_resources("limits", resources.limits)


def _known_requests(resources: Resources) -> Iterator[Violation]:
    return unknown_resources("requests", resources.requests)


# Kubernetes gives these to a container whole, and never to two containers at once.
_DEVICE = r"[^/]+/.+"
_UNDIVIDED = rf"{_DEVICE}|hugepages-.+"
# For CEL, where arithmetic costs too much here: any number with a larger unit or an exponent is taken.
_WHOLE = ".*[kKMGTPEe].*|" + "|".join(
    rf"[+]?({digits})([.]0*)?{unit}"
    for digits, unit in (("[0-9]*", ""), ("[0-9]*0{3}|0*", "m"), ("[0-9]*0{6}|0*", "u"), ("[0-9]*0{9}|0*", "n"))
)
_BOTH_GIVEN = "!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) || {})"
_COMPARED = "quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name])))"


def _both_given(resources: Resources) -> Iterator[tuple[str, str, str]]:
    """The name, request and limit of each resource that has both."""
    for name, request in resources.requests.items():
        if name in resources.limits:
            yield name, request, resources.limits[name]


def _within_limits(resources: Resources) -> Iterator[Violation]:
    for name, request, limit in _both_given(resources):
        if parse_quantity(request) > parse_quantity(limit):
            yield Violation(("requests", name), f'"{request}" with a limit of "{limit}"')


def _undivided(resources: Resources) -> Iterator[Violation]:
    for name, request, limit in _both_given(resources):
        if re.fullmatch(_UNDIVIDED, name) and parse_quantity(request) < parse_quantity(limit):
            yield Violation(("requests", name), f'"{request}" with a limit of "{limit}"')


def _whole(resources: Resources) -> Iterator[Violation]:
    for field, amounts in (("limits", resources.limits), ("requests", resources.requests)):
        for name, amount in amounts.items():
            number = parse_quantity(amount)
            if re.fullmatch(_DEVICE, name) and number != number.to_integral_value():
                yield Violation((field, name), f'"{amount}"')


def _whole_in(field: str) -> str:
    whole = f"string(self.{field}[name]).matches('^({_WHOLE})$')"
    return f"(!has(self.{field}) || self.{field}.all(name, !name.matches('^{_DEVICE}$') || {whole}))"


WITHIN_LIMITS: Rule[Resources] = Rule(
    "must be at most the limit of the same resource: request less, or raise limits",
    _within_limits,
    cel=_BOTH_GIVEN.format(f"{_COMPARED} <= 0"),
    field_path=".requests",
)
UNDIVIDED: Rule[Resources] = Rule(
    "must equal the limit of the same resource, since it is a DOMAIN/NAME resource such as a GPU, or hugepages: leave"
    " out the request",
    _undivided,
    cel=_BOTH_GIVEN.format(f"!name.matches('^({_UNDIVIDED})$') || {_COMPARED} >= 0"),
    field_path=".requests",
)
WHOLE_DEVICES: Rule[Resources] = Rule(
    "must be a whole number, such as 1, of a DOMAIN/NAME resource such as a GPU",
    _whole,
    cel=f"{_whole_in('limits')} && {_whole_in('requests')}",
)

KNOWN_LIMITS: Rule[Resources] = Rule(RESOURCES_BY_NAME, _known_limits, resources_by_name("limits"), ".limits")
KNOWN_REQUESTS: Rule[Resources] = Rule(RESOURCES_BY_NAME, _known_requests, resources_by_name("requests"), ".requests")


class Resources(ApiModel):
    """The resources of one container, as in Kubernetes."""

    RULES = (KNOWN_LIMITS, KNOWN_REQUESTS, WITHIN_LIMITS, UNDIVIDED, WHOLE_DEVICES)

    limits: Quantities = Field(default_factory=dict)
    """The limit of each resource, for example `nvidia.com/gpu: "4"`. Absent: on a cluster, the request."""
    requests: Quantities = Field(default_factory=dict)
    """The request of each resource, at most its limit. Absent: the limit."""

    @property
    def gpus(self) -> dict[str, int]:
        """The GPUs of one replica, by resource name: those of any maker, whole or in parts."""
        return {name: int(amount) for name, amount in self.demand().items() if amount and is_gpu(name)}

    def demand(self) -> dict[str, Decimal]:
        """What one replica takes from a budget: its requests, else its limits."""
        return {name: parse_quantity(text) for name, text in {**self.limits, **self.requests}.items()}
