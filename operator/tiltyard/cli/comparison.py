"""`tiltyard compare`: how closely two runs agree, and a page of what differs."""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tiltyard.api import Tournament
from tiltyard.cli import show
from tiltyard.cli.commands import prepare
from tiltyard.cli.printing import Printer
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from tiltyard.sdk.documents import Comparison
from tiltyard.sdk.errors import UserError
from tiltyard.sdk.machine import ask, store_of
from tiltyard.sdk.manifest import called, load_manifest
from tiltyard_jobs.contracts.comparison import Differences
from tiltyard_jobs.contracts.located import readable
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import RateRecipe
from tiltyard_jobs.contracts.solo_tasks import CompareTask, ComparisonPage, ManifestChange
from tiltyard_jobs.contracts.stores import scheme_of
from tiltyard_jobs.contracts.tasks import StoreRef

_MAY_BE_SECRET = re.compile(r"\.(env|headers)\[[^]]*\]\.value$")
MOST_BATTLES = 50  # that are named, and on the page


def compare(options: argparse.Namespace) -> int:
    """Say how far the ratings of two runs agree, and write the page if asked."""
    printer = Printer.of(options)
    if options.battles is not None and options.html is None and printer.for_people:
        raise UserError(
            f"--battles {options.battles}: the table names no battles; give --html PAGE, or -o json or yaml, too"
        )
    prepared = prepare(options, printer)
    graph, settings = prepared.graph, prepared.settings
    other_tournament = load_manifest(options.other)
    other_store = _other_store(options, settings.store, other_tournament)
    if other_store != settings.store:
        printer.detail(f"{graph.tournament}: {settings.store.uri}; the other run: {other_store.uri}")
    other = build_graph(other_tournament)
    changed = tuple(changes(prepared.tournament, other_tournament))
    page = None
    if options.html is not None:
        names = (Path(called(options.manifest)).name, Path(called(options.other)).name)
        page = ComparisonPage(file=str(options.html.absolute()), names=names, changes=changed)
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as folder:
        file = Path(folder, "differences.json")
        task = CompareTask(
            tournament=graph.tournament,
            store=settings.store,
            second_store=other_store,
            first=_ratings(graph),
            second=_ratings(other),
            runs=(graph.run, other.run),
            most=options.battles or MOST_BATTLES,
            file=str(file),
            page=page,
        )
        summary = ask(task, settings)
        found = Differences.model_validate_json(file.read_bytes()) if file.exists() else None
    agreement = summary.agreement
    assert agreement is not None
    for warning in summary.warnings:
        printer.note(f"warning: {warning}")

    def as_table() -> None:
        print(f"runs                 {graph.run} and {other.run}")
        show.print_agreement(agreement)
        if found is not None:
            show.print_differences(found)
        if options.html is not None:
            print(f"page                 {options.html}")

    document = Comparison(
        first=graph.run,
        second=other.run,
        html=None if options.html is None else str(options.html),
        changes=changed,
        differences=found,
        **agreement.model_dump(by_alias=False),
    )
    printer.result(document, as_table)
    return 0


def _other_store(options: argparse.Namespace, store: StoreRef, other: Tournament) -> StoreRef:
    """Where the other run is: in `--other-out`, else in `--out`, else in its own spec.output, else beside the first."""
    out = options.other_out if options.other_out is not None else options.out
    found = store if out is None and other.spec.output is None else store_of(out, other)
    if options.other_profile is None:
        return found
    if scheme_of(found.uri) != "s3":
        raise UserError(
            f"--other-profile {options.other_profile}: the other run is in {readable(found.uri)}, a folder, which"
            " needs no credentials; name its bucket with --other-out s3://BUCKET/PREFIX, or in its spec.output"
        )
    return found.model_copy(update={"profile": options.other_profile})


def changes(first: Tournament, second: Tournament) -> Iterator[ManifestChange]:
    """The fields that differ between two manifests, defaults included; items of lists are told apart by their names.

    What an environment variable or a header is set to is not shown: it may be a secret, and a page is passed on.
    """
    one, other = (dict(_fields("", each.model_dump(mode="json", exclude_none=True))) for each in (first, second))
    for path in dict.fromkeys([*one, *other]):
        values = one.get(path), other.get(path)
        if values[0] == values[1] or ("[]" in values and any(name.startswith(f"{path}[") for name in one | other)):
            continue  # the items say more than that a list is empty
        if _MAY_BE_SECRET.search(path):
            values = values[0] and "(not shown)", values[1] and "(not shown)"
        yield ManifestChange(path=path, first=values[0], second=values[1])


def _fields(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from _fields(f"{path}.{name}" if path else name, one)
    elif isinstance(value, list) and value and all(isinstance(one, dict) and "name" in one for one in value):
        for one in value:
            yield from _fields(f"{path}[{one['name']}]", {key: part for key, part in one.items() if key != "name"})
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _ratings(graph: Graph) -> ArtifactRef:
    return graph.recipes(RateRecipe)[0].ref
