"""`tiltyard export`: the tables of a complete run in the forms that other tools read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tiltyard.cli.arguments import add_output, place_of_results
from tiltyard_jobs.contracts.vocabulary import ExportForm

if TYPE_CHECKING:
    from tiltyard_jobs.contracts.tasks import StoreRef


def add_export(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument(
        "run",
        metavar="RUN|FILE",
        help="a run's folder or a copy of it, a folder of results with one run, s3://BUCKET/PREFIX/runs/RUN,"
        " or the Tournament's YAML file",
    )
    form = command.add_mutually_exclusive_group(required=True)
    form.add_argument("--to", choices=get_args(ExportForm), help="the format of the files")
    form.add_argument(
        "--push-to-hub",
        metavar="ORG/NAME",
        help="upload the run instead, as a dataset of the Hugging Face hub, private where it is new; needs HF_TOKEN and"
        ' "tiltyard[hub]"',
    )
    command.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="NAME",
        help="sft or preference; with csv and jsonl any table, such as battles; may be given more than once (default:"
        " all training rows)",
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="with --to: a new folder for the files")
    command.add_argument(
        "--from",
        dest="results",
        type=place_of_results,
        metavar="DIR",
        help="with FILE: where its results are instead of spec.output, as in `tiltyard run --out DIR`",
    )
    add_output(command)


def export(options: argparse.Namespace) -> int:
    """Write a run's tables in a form, and report what the form has no place for."""
    from tiltyard.cli.printing import Printer
    from tiltyard.local.machine import Settings
    from tiltyard.sdk.documents import Export
    from tiltyard.sdk.errors import UserError
    from tiltyard.sdk.machine import ask
    from tiltyard_jobs.contracts.solo_tasks import ExportTask

    if (options.out is None) == (options.to is not None) or (options.push_to_hub and options.table):
        raise UserError("--to FORMAT needs --out DIR, and takes --table; --push-to-hub ORG/NAME takes neither of them")
    run, store = place_of(options)
    task = ExportTask(
        tournament=run or options.run,
        store=store,
        run=run,
        folder=str(options.out.absolute()) if options.out is not None else "",
        form=options.to,
        tables=tuple(options.table),
        hub=options.push_to_hub,
    )
    summary = ask(task, Settings(store=store, state=Path()))

    def as_table() -> None:
        for path in summary.outputs.values():
            print(path)
        for sentence in summary.notes:
            print(sentence)

    uploaded = options.push_to_hub is not None
    document = Export(
        files=() if uploaded else tuple(summary.outputs.values()),
        dataset=summary.outputs["dataset"] if uploaded else None,
        notes=summary.notes,
    )
    Printer.of(options).result(document, as_table)
    return 0


def place_of(options: argparse.Namespace) -> tuple[str, StoreRef]:
    """A run's name and its store; without a name the store is the run's folder."""
    from tiltyard.cli import commands
    from tiltyard.cli.printing import Printer
    from tiltyard.cli.runfolders import only_run
    from tiltyard.sdk.errors import UserError
    from tiltyard.sdk.manifest import load_manifest
    from tiltyard_jobs.contracts.tasks import StoreRef

    given: str = options.run
    if given == "-":
        raise UserError("-: standard input is not read here; give a run's folder, s3://BUCKET/PREFIX/runs/RUN or FILE")
    path = Path(given)
    is_folder = path.is_dir() or path.name == "manifest.json" or "://" in given
    if not is_folder:
        if not path.is_file():
            raise UserError(f"{given}: there is no such folder or file; name a run's folder or a manifest")
        if options.results is None and load_manifest(path).spec.output is None:
            raise UserError(f"{given}: spec.output is missing: name the folder of the results with --from DIR")
        place = argparse.Namespace(manifest=path, out=options.results, state=None)
        prepared = commands.prepare(place, Printer())
        return prepared.graph.run, prepared.settings.store
    if options.results is not None:
        raise UserError(f"--from: {given} is a run's folder already; omit --from, or name the manifest")
    if "://" in given:
        return "", StoreRef(uri=given.rstrip("/"))
    folder = path.parent if path.name == "manifest.json" else path
    run = only_run(folder, "give a run's folder, s3://BUCKET/PREFIX/runs/RUN or the tournament's FILE")
    return "", StoreRef(uri=run.absolute().as_uri())
