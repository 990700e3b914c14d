"""Standard output and standard error: what a terminal cannot show, a pipe that is closed, a disk that is full."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys

PLAIN = {"…": "...", "≥": ">=", "≤": "<=", "–": "-", "—": "-", "→": "->", "×": "x", "━": "=", "╸": "=", "╺": "="}
"""How an encoding without these characters shows them; any other one is escaped."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_NEXT = {
    errno.ENOSPC: "free some space and run the command again",
    errno.EDQUOT: "free some space or have the quota raised, and run the command again",
    errno.EACCES: "allow this user to use it, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}
"""What helps against an error of the system."""
_HANDLER = "tiltyard.plain"


def make_printable() -> None:
    """Let every text be printed, whatever the encoding of the terminal."""
    codecs.register_error(_HANDLER, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors=_HANDLER)


def flush() -> None:
    """Write what is buffered now, where an error can still be reported."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def give_up() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not try again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream, descriptor in ((sys.__stdout__, 1), (sys.__stderr__, 2)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(nowhere, descriptor)
    os.close(nowhere)


def sentence_of(error: OSError) -> str | None:
    """What to tell the user of an error of the system; None: it is a bug."""
    helps = f"; {_NEXT[error.errno]}" if error.errno in _NEXT else ""
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}{helps}"
    if error.errno in _NO_ROOM:
        return f"standard output, or a file: cannot be written: {error.strerror}{helps}"
    return None


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in text), error.end
