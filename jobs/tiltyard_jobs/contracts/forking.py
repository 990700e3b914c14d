"""What a fork server is sent and what it replies, a line of JSON each (`shard.forkserver`)."""

from __future__ import annotations

from tiltyard_jobs.contracts.frozen import Contract

COMMAND = "fork-server"  # python -m tiltyard_jobs fork-server DESCRIPTOR


class StartWorker(Contract):
    """A worker is wanted.

    Attributes:
        number: of the request, for the reply.
        arguments: a worker's command line, from the stage on.
        environment: added to the server's own.
        log: a file; standard output and error are appended to it.
    """

    number: int
    arguments: tuple[str, ...]
    environment: dict[str, str]
    log: str


class WorkerStarted(Contract):
    """It runs, in a session of its own. Told before its end is.

    Attributes:
        number: of the request.
        pid: its process.
    """

    number: int
    pid: int


class WorkerEnded(Contract):
    """It is gone.

    Attributes:
        pid: which it was.
        code: its exit code, or the signal that ended it with a minus.
    """

    pid: int
    code: int
