from __future__ import annotations

import asyncio
import errno

import pytest

from tiltyard_jobs.contracts.logs import frames_of
from tiltyard_jobs.errors import ConfigurationError, PermanentError, TransientError
from tiltyard_jobs.shard.failures import ending_of
from tiltyard_jobs.shard.stopping import Stopped


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigurationError("spec.x: no"), 2, "spec.x: no"),
        (PermanentError("corrupt"), 3, "corrupt"),
        (TransientError("away"), 75, "away"),
        (Stopped(), 143, "Stopped; the work so far is kept, and the next attempt continues from it."),
        (asyncio.CancelledError(), 143, "Stopped."),
        (KeyboardInterrupt(), 143, "Stopped."),
        (
            OSError(errno.ENOSPC, "No space left on device", "/w/records"),
            75,
            "This machine has a problem: No space left on device (/w/records); free some space there.",
        ),
        (MemoryError(), 75, "This machine has a problem: out of memory."),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "secret"),
            1,
            "A bug in Tiltyard (builtins.FileNotFoundError); the log says where.",
        ),
        (ValueError("a prompt"), 1, "A bug in Tiltyard (builtins.ValueError); the log says where."),
    ],
)
def test_endings(error: BaseException, code: int, message: str) -> None:
    ending = ending_of(error)
    assert (ending.exit_code, ending.message) == (code, message)
    assert ending.is_bug == (code == 1)


def test_of_a_group_the_one_with_least_hope_counts() -> None:
    inner = ExceptionGroup("inner", [TransientError("away"), ConfigurationError("wrong")])
    assert ending_of(ExceptionGroup("outer", [inner, PermanentError("corrupt")])).exit_code == 2
    assert ending_of(ExceptionGroup("outer", [inner, KeyError("x")])).exit_code == 1
    assert ending_of(BaseExceptionGroup("outer", [asyncio.CancelledError(), TransientError("away")])).exit_code == 75


def test_frames_say_where_and_not_what() -> None:
    def fail() -> None:
        raise ValueError("a prompt")

    try:
        fail()
    except ValueError as error:
        frames = frames_of(error)
    assert frames[-1].endswith(" fail")
    assert "a prompt" not in "".join(frames)
