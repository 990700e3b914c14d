"""Running the trainer to its end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tiltyard_jobs.engine import Engine, run_engine
from tiltyard_jobs.packages import IMAGE_VARIABLE
from tiltyard_jobs.training import trainer

TRAINER = Path(trainer.__file__)
ENGINE = Engine("the trainer", "train", "TRL", "--train-python", "trainer", "a smaller maxLength, LoRA, or more GPUs")


async def train(
    python: str,
    order: Mapping[str, Any],
    folder: Path,
    log: Path,
    *,
    launcher: Sequence[str] = (),
    each: Callable[[int, int], None],
) -> None:
    """Run the trainer. It is ended when this is cancelled, and what it has saved stays.

    Args:
        python: an interpreter that has TRL.
        order: see `order_of`.
        folder: an existing one, for the order's file.
        log: gets the trainer's output.
        launcher: what comes between the interpreter and the trainer, see `Nodes.launcher`.
        each: told of (step, steps) now and then.

    Raises:
        ConfigurationError: the trainer refuses what it was given.
        TransientError: it ended otherwise than well.
    """
    document = folder / "order.json"
    document.write_text(json.dumps(order))
    out = Path(order["out"])
    await run_engine(
        ENGINE,
        python,
        [*launcher, str(TRAINER), str(document)],
        log,
        launched=bool(launcher),
        each=lambda: each(*_progress(out)),
        # In a pod its log is the pod's.
        echo=sys.stdout.buffer if IMAGE_VARIABLE in os.environ else None,
    )


def _progress(out: Path) -> tuple[int, int]:
    """(step, steps) by the newest checkpoint."""
    states = sorted(out.glob("*/checkpoint-*/trainer_state.json"), key=lambda path: path.stat().st_mtime)
    for path in reversed(states):
        with suppress(OSError, ValueError, KeyError):
            state = json.loads(path.read_text())
            return int(state["global_step"]), int(state["max_steps"])
    return 0, 1
