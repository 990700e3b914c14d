"""The metrics that the operator declares, as Prometheus knows them."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from tiltyard.cluster import metrics

Metric = Counter | Gauge | Histogram
DECLARED: dict[str, Metric] = {name: value for name, value in vars(metrics).items() if isinstance(value, Metric)}
"""By the name of the attribute."""


def exposed(metric: Metric) -> tuple[str, tuple[str, ...]]:
    """The name by which Prometheus knows it, and its labels."""
    (family,) = metric.describe()
    return family.name + ("_total" if isinstance(metric, Counter) else ""), tuple(metric._labelnames)


def series() -> dict[str, set[str]]:
    """The name of each series, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in DECLARED.values():
        name, labels = exposed(metric)
        if isinstance(metric, Histogram):
            found |= {f"{name}_bucket": {*labels, "le"}, f"{name}_sum": {*labels}, f"{name}_count": {*labels}}
        else:
            found[name] = {*labels}
    return found
