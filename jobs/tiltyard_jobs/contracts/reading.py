"""What the command line hands to the battle reader, `python -m tiltyard_jobs.reader`."""

from __future__ import annotations

from typing import Literal

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.recipes import DatasetRecipe
from tiltyard_jobs.contracts.tasks import StoreRef

Action = Literal["View", "Show"]
"""What is done with battles: they are served as pages, or printed."""


class ReadTask(Contract):
    """Battles to read.

    Attributes:
        action: what is done.
        store: where the run's artifacts are; or the run's folder itself, where `run` is None.
        run: 12 hex digits; empty: the only one in the store.
        recipe: of the run's dataset, which names all artifacts: it lets a run be read while it is running.
        battles: ids: `INSTRUCTION`, its first digits, or `INSTRUCTION/A/B`.
        file: a JSON `ShownBattles` is written there, and nothing is printed; None: battles are printed.
        port: on 127.0.0.1; 0: any that is free; None: the usual one, or any that is free.
        browse: open a browser.
        label: a file that a person's votes are appended to.
        status: a command that prints the run's status on a line of its own each time that it changes; empty: none does.
    """

    action: Action
    store: StoreRef
    run: str | None = None
    recipe: DatasetRecipe | None = None
    battles: tuple[str, ...] = ()
    file: str | None = None
    port: int | None = None
    browse: bool = False
    label: str | None = None
    status: tuple[str, ...] = ()
