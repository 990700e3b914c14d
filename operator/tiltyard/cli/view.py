"""`tiltyard view` and `tiltyard show`: which run, and the process that reads it."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tiltyard.cli.arguments import add_output, add_place, namespace
from tiltyard.cli.printing import Printer
from tiltyard.cli.runfolders import newest_run, runs_below
from tiltyard.sdk.documents import Battles
from tiltyard.sdk.errors import UserError
from tiltyard.sdk.manifest import load_manifest
from tiltyard_jobs.contracts.battles import ShownBattles
from tiltyard_jobs.contracts.reading import Action, ReadTask
from tiltyard_jobs.contracts.recipes import DatasetRecipe
from tiltyard_jobs.contracts.tasks import StoreRef

_RUN = re.compile(r"[0-9a-f]{12}")
_S3_RUN = re.compile(r"(s3://\S+?)/runs/([0-9a-f]{12})/?")


def add_view(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `view`."""
    _add_run(command, "?", " (default: the last complete run in this folder, or in one of its folders)")
    command.add_argument("--port", type=_port, metavar="N", help="the port on 127.0.0.1 (default: 8642, or any)")
    command.add_argument(
        "--label",
        type=Path,
        metavar="LABELS",
        help="vote yourself, without seeing whose answers they are; votes are appended to this file (.jsonl), which"
        " calibrate takes",
    )
    command.add_argument(
        "-n",
        "--namespace",
        type=namespace,
        metavar="NS",
        help="the namespace of FILE's Tournament on the cluster of KUBECONFIG, which the live page then shows (default:"
        " the run on this machine)",
    )
    command.add_argument(
        "--no-browser", dest="browse", action="store_false", help="print the address, and open no browser"
    )


def add_show(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `show`."""
    _add_run(command, None, "")
    command.add_argument(
        "battles",
        nargs="+",
        metavar="ID",
        help="an instruction's id or its first digits, INSTRUCTION/A/B, or a benchmark's task, such as HumanEval/3, for"
        " what the programs that models wrote for it did",
    )
    add_output(command)


def _add_run(command: argparse.ArgumentParser, nargs: str | None, default: str) -> None:
    command.add_argument(
        "run",
        nargs=nargs,
        metavar="RUN",
        help=f"a run's folder or its name, a folder or s3://BUCKET/PREFIX with runs, or the tournament's FILE{default}",
    )
    add_place(command)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be 0 to 65535 (0: any that is free), given {text}")
    return int(text)


def view(options: argparse.Namespace) -> int:
    """Serve a run's battles as pages; this process becomes the server."""
    return _become_reader(
        "View",
        options,
        port=options.port,
        browse=options.browse,
        label=options.label and str(options.label),
        status=_status_command(options),
    )


def _status_command(options: argparse.Namespace) -> tuple[str, ...]:
    """What says how far the run is; nothing where it is not given by its manifest."""
    if options.run is None or not Path(options.run).is_file():
        if options.namespace is not None:
            raise UserError(
                f"-n {options.namespace}: needs the tournament's FILE; a run's folder does not name its Tournament"
            )
        return ()
    command = [sys.executable, "-m", "tiltyard", "status"]
    if options.namespace is not None:
        command += [load_manifest(Path(options.run)).metadata.name, "--namespace", options.namespace]
    else:
        command += [options.run, *(("--state", str(options.state)) if options.state is not None else ())]
    return (*command, "--watch", "--output", "json", "--quiet")


def show(options: argparse.Namespace) -> int:
    """Print battles."""
    printer = Printer.of(options)
    if printer.for_people:
        return _become_reader("Show", options, battles=tuple(options.battles))
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as folder:
        file = Path(folder, "battles.json")
        task = ReadTask(action="Show", **_which(options), battles=tuple(options.battles), file=str(file))
        ended = subprocess.run(_reader(task), check=False)
        if ended.returncode != 0:  # it has said why
            return ended.returncode
        found = ShownBattles.model_validate_json(file.read_bytes())
    fields = {name: getattr(found, name) for name in ShownBattles.model_fields}
    printer.result(Battles(**fields), lambda: None)
    return 0


def _become_reader(action: Action, options: argparse.Namespace, **more: Any) -> int:
    command = _reader(ReadTask(action=action, **_which(options), **more))
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - no shell


def _reader(task: ReadTask) -> list[str]:
    """The command of the process that reads battles; it deletes the task's file."""
    handle, name = tempfile.mkstemp(prefix="tiltyard-", suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(task.model_dump_json(by_alias=True))
    return [sys.executable, "-m", "tiltyard_jobs.reader", "--task", name]


def _which(options: argparse.Namespace) -> dict[str, Any]:
    """The store and the run of RUN, FILE or s3://…; without it those of this folder."""
    given: str | None = options.run
    if given is None:
        return _of_folder(newest_run(Path("."), "give a run's folder, a bucket or the tournament's FILE"))
    if given == "-":
        raise UserError(
            "-: standard input is not read here; give a run's folder, s3://BUCKET/PREFIX or the tournament's FILE"
        )
    if given.startswith("s3://"):
        match = _S3_RUN.fullmatch(given)
        uri, run = match.groups() if match else (given.rstrip("/"), "")
        return {"store": StoreRef(uri=uri), "run": run}
    path = Path(given)
    if path.is_dir():
        return _of_folder(newest_run(path, "give a run's folder or the tournament's FILE"))
    if path.is_file():
        return _of_manifest(options)
    if _RUN.fullmatch(given):
        if options.out is not None:
            uri = options.out if isinstance(options.out, str) else options.out.absolute().as_uri()
            return {"store": StoreRef(uri=uri), "run": given}
        found = [place for place in runs_below(Path(".")) if place.name == given]
        if found:
            return _of_folder(found[0])
        raise UserError(f"{given}: no such run here, nor in a folder of this one; add --out DIR")
    raise UserError(
        f"{given}: no such file or folder; give a run's folder, s3://BUCKET/PREFIX or the tournament's FILE"
    )


def _of_folder(run: Path) -> dict[str, Any]:
    """A run's folder: in the store that it was made in, or a copy."""
    run = run.absolute()
    if run.parent.name == "runs" and _RUN.fullmatch(run.name):
        return {"store": StoreRef(uri=run.parent.parent.as_uri()), "run": run.name}
    return {"store": StoreRef(uri=run.as_uri()), "run": None}


def _of_manifest(options: argparse.Namespace) -> dict[str, Any]:
    from tiltyard.cli.commands import prepare

    options.manifest = Path(options.run)
    prepared = prepare(options, Printer())
    (recipe,) = prepared.graph.recipes(DatasetRecipe)
    return {"store": prepared.settings.store, "run": prepared.graph.run, "recipe": recipe}
