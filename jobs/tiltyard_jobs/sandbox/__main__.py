"""Run what models wrote, for the worker of the same pod: `python -m tiltyard_jobs.sandbox FOLDER`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from tiltyard_jobs.sandbox.confine import ConfinementError, refuse_network
from tiltyard_jobs.sandbox.exchange import serve


async def _serve(folder: Path) -> None:
    task = asyncio.create_task(serve(folder, len(os.sched_getaffinity(0))))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def main() -> int:
    """Serve a folder until SIGTERM."""
    os.environ.clear()
    loop = asyncio.new_event_loop()  # its own pair of sockets is made before none can be
    try:
        refuse_network()
    except ConfinementError as error:
        print(error, file=sys.stderr)  # programs are refused with the same sentence
    loop.run_until_complete(_serve(Path(sys.argv[1])))
    loop.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
