"""`python -m tiltyard_jobs.reader --task FILE`: what `tiltyard view` and `tiltyard show` become.

The file is deleted once it is read. Exit codes are those of the command line: 0; with a sentence, 1 where this machine
is in trouble (a disk is full) and 2 where the input is wrong; 141 where who reads the output has closed it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.contracts.reading import ReadTask
from tiltyard_jobs.errors import ConfigurationError, JobError
from tiltyard_jobs.reader.battle import Battle, instructions_of, read_battle, resolve
from tiltyard_jobs.reader.document import battles_document
from tiltyard_jobs.reader.index import Index
from tiltyard_jobs.reader.labels import LabelFile
from tiltyard_jobs.reader.programs import Program, ProgramList
from tiltyard_jobs.reader.session import Session
from tiltyard_jobs.reader.terminal import lines, program_lines
from tiltyard_jobs.shard.failures import ending_of
from tiltyard_jobs.store import open_store

FAILED, CLOSED_PIPE = 1, 128 + 13


def main() -> int:
    """Serve or print battles."""
    options = argparse.ArgumentParser()
    options.add_argument("--task", type=Path, required=True)
    file: Path = options.parse_args().task
    task = ReadTask.model_validate_json(file.read_bytes())
    file.unlink(missing_ok=True)
    try:
        _perform(task)
        sys.stdout.flush()  # where an error can still be reported
    except JobError as error:
        print(error, file=sys.stderr)
        return int(ExitCode.CONFIGURATION)
    except BrokenPipeError:  # as behind `head`
        return CLOSED_PIPE
    except OSError as error:
        ending = ending_of(error)
        if ending.is_bug:
            raise
        print(ending.message, file=sys.stderr)
        return FAILED
    return 0


def _perform(task: ReadTask) -> None:
    store = open_store(task.store)
    try:
        session = Session(store, task)
        if task.action == "Show":
            _show(session, task)
        else:
            _view(session, task)
    finally:
        store.close()


def _view(session: Session, task: ReadTask) -> None:
    from tiltyard_jobs.reader.live import Live
    from tiltyard_jobs.reader.server import serve

    session.index()  # first: of a wrong run no label file is made
    live = Live(task.status) if task.status else None
    say = partial(print, file=sys.stderr)
    with LabelFile(Path(task.label), say) if task.label else nullcontext() as labels:
        asyncio.run(serve(session, task.port, browse=task.browse, labels=labels, live=live))


def _show(session: Session, task: ReadTask) -> None:
    index = session.index()
    found = _named(index, task.battles)
    if task.file is not None:
        Path(task.file).write_bytes(battles_document(index.source, list(found)).canonical())
        return
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    for one in found:
        for line in lines(one, complete=index.source.complete) if isinstance(one, Battle) else program_lines(one):
            print(line)
        print()


def _named(index: Index, names: Iterable[str]) -> Iterator[Battle | Program]:
    """The battles, and the programs for a benchmark's task, that ids name."""
    programs = ProgramList(index.source.programs)
    for name in names:
        # A task's id may also be the first digits of an instruction's.
        numbers, tasks = resolve(index, name), programs.of_task(name)
        if not numbers and not tasks:
            raise ConfigurationError(f"run {index.source.run} {_why_not(index, name)}")
        yield from (read_battle(index, number) for number in numbers)
        yield from map(programs.read, tasks)


def _why_not(index: Index, name: str) -> str:
    """Why an id names no battle."""
    beginning = name.partition("/")[0]
    several = instructions_of(index, beginning) if beginning else 0
    if several > 1:
        return f"has {several:,} instructions that begin with {beginning}: give more digits of the id"
    wanted = (
        "an instruction's id or its first digits, INSTRUCTION/A/B with the names of the two players, or the id of a"
    )
    return f"has no battle {name}: give {wanted} benchmark's task; `tiltyard view` and the tables have the ids"


def _end(code: int) -> NoReturn:
    """End the process at once: an exit right behind a read finds Arrow's threads at work, and aborts now and then."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it, or it is closed
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _end(main())
