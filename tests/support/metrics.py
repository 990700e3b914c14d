"""The series of the operator's metrics, as Prometheus knows them."""

from __future__ import annotations

from prometheus_client import Histogram

from generate_tables import METRICS, exposed


def series() -> dict[str, set[str]]:
    """The name of each series, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in METRICS.values():
        name, labels = exposed(metric)
        if isinstance(metric, Histogram):
            found |= {f"{name}_bucket": {*labels, "le"}, f"{name}_sum": {*labels}, f"{name}_count": {*labels}}
        else:
            found[name] = {*labels}
    return found
