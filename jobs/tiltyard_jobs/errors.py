"""The worker's tree of errors, and the exit code (`contracts.exit_codes`) that each becomes.

`podFailurePolicy` on a cluster and the runner on one machine read the exit codes, never the messages:

| code | class | meaning | what follows |
|---|---|---|---|
| 0 | | the shard is complete | |
| 2 | ConfigurationError | the manifest, a secret or an endpoint is wrong | final: no retry can help |
| 3 | PermanentError | this shard cannot be made (too many voids, a corrupt input) | final |
| 75 | TransientError | the world failed (EX_TEMPFAIL of sysexits.h) | retry, work so far is kept |
| 143 | | stopped by SIGTERM, checkpoint flushed | retry, no failure |
"""

from __future__ import annotations

from typing import Self

from tiltyard_jobs.contracts.described import Described
from tiltyard_jobs.contracts.exit_codes import ExitCode


class JobError(Exception):
    """An error that ends a shard.

    Args:
        message: one sentence for the user.
        words: a server's own, as in `RecordVoidError`.
    """

    exit_code = ExitCode.TRANSIENT

    def __init__(self, message: str, words: str = "") -> None:
        super().__init__(message)
        self.words = words

    def under(self, field: str) -> Self:
        """The same error, said under a field of the manifest, unless it names one itself."""
        text = str(self)
        return self if not field or text.startswith("spec.") else type(self)(f"{field}: {text}")


class TransientError(JobError):
    """The world failed (a server away, a store that answers 500): the same call may succeed later."""


class PermanentError(JobError):
    """This shard cannot be made whatever the number of tries."""

    exit_code = ExitCode.PERMANENT


class NothingUsableError(PermanentError):
    """Records were asked for, and not one of them is usable.

    Args:
        asked: how many.
        reason: the commonest reason.
        detail: its commonest detail; empty where it has none.
    """

    def __init__(self, asked: int, reason: VoidReason, detail: str) -> None:
        super().__init__(f"none of {asked} replies is usable, most often for this reason: {told(reason, detail)}")
        self.asked = asked
        self.reason = reason
        self.detail = detail


class TooManyVoidsError(PermanentError):
    """More records failed than `spec.jobs.maxVoidFraction` allows.

    Args:
        what: how many, why, and how many may.
        reason: the commonest reason.
        remedy: what to do about it.
    """

    def __init__(self, what: str, reason: VoidReason, remedy: str = "fix the cause") -> None:
        super().__init__(f"{what}: {remedy}, or raise the fraction; the next attempt retries these records.")
        self.what = what
        self.reason = reason


class ConfigurationError(JobError):
    """The user's input is wrong: the message names the field, what was given and what is allowed."""

    exit_code = ExitCode.CONFIGURATION


class VoidReason(Described):
    """Why a record is void. A void is a row with its reason: counted, never dropped, never scored."""

    EMPTY = "Empty", "the model said nothing"
    TRUNCATED = (
        "Truncated",
        "the reply was cut by the token limit where a complete structure was requested, or while the model was still"
        " thinking",
    )
    THOUGHT_UNFINISHED = (
        "ThoughtUnfinished",
        "the model began a thought and ended its turn without ending the thought (`Truncated`, if the token limit ended"
        " it)",
    )
    NO_ANSWER = "NoAnswer", "the reply is a thought without an answer"
    NOT_IN_FILE = "NotInFile", "the file of existing `answers` has none to this instruction"
    REFUSED_BY_SERVER = (
        "RefusedByServer",
        "the server answered this request with a 4xx: the prompt is too long, or a content filter",
    )
    UNAVAILABLE = (
        "Unavailable",
        "the server answered with 424, 429, 5xx, resets or time-outs until the record's deadline, while it answered"
        " others. A later attempt retries it",
    )
    KILLED_SERVER = (
        "KilledServer",
        "the server died twice while it was asked, the second time with nothing else asked by this shard. It is not"
        " asked again",
    )
    MALFORMED = "Malformed", "the reply is not JSON, has no completion, or not the structure that was requested"
    UNDECIDED = "Undecided", "the verdict names no side, or more than one"
    INPUT_VOID = "InputVoid", "the record's input is void itself, or its text cannot be sent"
    UNSOLVABLE = (
        "Unsolvable",
        "the benchmark authors' own solution of this task fails where the programs run, for example because a library"
        " is missing",
    )


def told(reason: str, detail: str) -> str:
    """A reason with its detail."""
    return f"{reason}: {detail}" if detail else str(reason)


def quoted(words: str) -> str:
    """A server's own words, to be put behind ours."""
    return f'; the server says "{words}"' if words else ""


class RecordVoidError(Exception):
    """One record could not be made. Caught by the shard loop, which writes a void row and goes on.

    Args:
        reason: why.
        detail: in our own words.
        words: the server's own, cut and escaped. They may quote the prompt.
        members: those of the request that the server names.
    """

    def __init__(
        self, reason: VoidReason, detail: str = "", words: str = "", members: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(told(reason, detail))
        self.reason = reason
        self.detail = detail
        self.words = words
        self.members = members

    @property
    def quoted(self) -> str:
        """The server's own words, to be put behind the detail; only for a prompt of our own."""
        return quoted(self.words)
