"""The tables of docs/ that are made from the code: of columns, voids, conditions, events, waits and metrics.

    python hack/generate_tables.py [--check | --write]

Without an option it prints the pages. A page has a marker before each of these tables, `<!-- generated: NAME -->`; the
rest of the page is written by hand. Needs the environment in which tiltyard is installed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path

import pyarrow as pa
from prometheus_client import Counter, Gauge, Histogram

import generated
from tiltyard.cluster import metrics as cluster_metrics
from tiltyard.plan.observed import WaitReason
from tiltyard.status.conditions import CONDITIONS
from tiltyard.status.events import EVENTS, ON_WAIT
from tiltyard_jobs.errors import VoidReason
from tiltyard_jobs.results import run_tables, stage_tables
from tiltyard_jobs.results.columns import meaning, table, with_thoughts

DOCS = Path(__file__).resolve().parent.parent / "docs"
COMMAND = "python hack/generate_tables.py --write"
MARKED = re.compile(r"^<!-- generated: (\S+) -->\n(?:\|.*\n)*", re.MULTILINE)

SCHEMAS: Mapping[str, pa.Schema] = {
    f"{module.__name__.rpartition('.')[2]}.{name}": schema
    for module in (stage_tables, run_tables)
    for name, schema in vars(module).items()
    if isinstance(schema, pa.Schema)
}
"""The tables that a run writes, by the module and the name under which the code has them."""

Metric = Counter | Gauge | Histogram
METRICS: Mapping[str, Metric] = {
    name: value for name, value in vars(cluster_metrics).items() if isinstance(value, Metric)
}
"""By the name of the attribute."""


def page(file: Path) -> str:
    """A page whose marked tables are what the code says.

    Raises:
        KeyError: a marker names no table.
    """
    return MARKED.sub(lambda found: f"<!-- generated: {found[1]} -->\n{TABLES[found[1]]()}", file.read_text("utf-8"))


def columns(schema: pa.Schema) -> str:
    """A table's columns; neighbours of one type and one meaning share a row."""
    described = [(kind.name, type_text(kind.type), meaning(kind)) for kind in with_thoughts(schema)]
    return written(
        ("column", "type", "meaning"),
        (
            (", ".join(f"`{name}`" for name, _, _ in group), kind, means)
            for (kind, means), group in groupby(described, key=lambda one: one[1:])
        ),
    )


def type_text(kind: pa.DataType) -> str:
    """A column's type, in words."""
    if isinstance(kind, pa.ListType):
        return f"list of {type_text(kind.value_type)}"
    if isinstance(kind, pa.StructType):
        return f"{{{', '.join(part.name for part in kind)}}}"
    return str(kind)


def conditions() -> str:
    """The conditions of a Tournament."""
    return written(
        ("condition", "what `True` means"), ((f"`{kind}`", rule.meaning) for kind, rule in CONDITIONS.items())
    )


def events() -> str:
    """The events of a Tournament."""
    return written(
        ("event", "type", "what has happened"),
        ((f"`{reason}`", type_of(reason), kind.meaning) for reason, kind in EVENTS.items()),
    )


def type_of(event: str) -> str:
    return "Warning" if EVENTS[event].warning else "Normal"


def waits() -> str:
    """The reasons of Waiting, with their events."""
    return written(
        ("reason of `Waiting`", "event", "what waits"),
        ((f"`{reason}`", f"`{ON_WAIT[reason]}`, {type_of(ON_WAIT[reason])}", reason.meaning) for reason in WaitReason),
    )


def voids() -> str:
    """Why records are void."""
    return written(("`void`", "meaning"), ((f"`{reason}`", reason.meaning) for reason in VoidReason))


def metrics() -> str:
    """The operator's metrics, in the order in which they are declared."""
    return written(
        ("metric", "meaning"),
        (
            (f"`{name}`" + (f" by {', '.join(labels)}" if labels else ""), metric._documentation)
            for metric in METRICS.values()
            for name, labels in (exposed(metric),)
        ),
    )


def exposed(metric: Metric) -> tuple[str, tuple[str, ...]]:
    """The name by which Prometheus knows a metric, and its labels."""
    (family,) = metric.describe()
    return family.name + ("_total" if isinstance(metric, Counter) else ""), tuple(metric._labelnames)


def written(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    return "".join((row(header), f"|{'---|' * len(header)}\n", *map(row, rows)))


def row(cells: tuple[str, ...]) -> str:
    """A line of one."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


TABLES: Mapping[str, Callable[[], str]] = {
    **{name: partial(columns, schema) for name, schema in SCHEMAS.items()},
    "run_tables.SOURCE": lambda: columns(table(run_tables.SOURCE)),
    "voids": voids,
    "status.conditions": conditions,
    "status.events": events,
    "status.waits": waits,
    "cluster.metrics": metrics,
}
"""What writes each table, by its name in the markers."""

PAGES = tuple(DOCS / name for name in ("cluster.md", "outputs.md"))
"""The pages that have markers."""


if __name__ == "__main__":
    sys.exit(generated.run(__doc__, {file: partial(page, file) for file in PAGES}, "the code", COMMAND))
