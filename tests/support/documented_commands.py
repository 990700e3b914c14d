"""The command lines of the README and of docs/, as a reader would paste them.

A block of code counts as one of commands by its first word; what it begins with otherwise is in `NO_COMMANDS`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from support.documents import FENCED, INDENTED, ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NO_COMMANDS = (
    *("<stage>/", "out/runs/<run>/", "runs/<run>/", "manifest.yaml\n", "manifest (YAML)\n", "sim://"),  # files, figures
    *("x(A > B)", "X(A > B)", "e(A)", "vote − ½"),  # formulas
    *(" PHASE ", "NAME ", "players in both "),  # what a command prints
)
FENCES_WITH_CODE = {"json", "python", "sql", "text", "yaml"}
"""Other tests are about these."""


def lines(text: str) -> Iterator[str]:
    """The command lines of a document; what commands print stands behind an empty line, and is passed over."""
    assert {block.split("\n")[0].strip("`") for block in FENCED.findall(text)} <= FENCES_WITH_CODE
    for block in INDENTED.findall(FENCED.sub("", text)):
        code = re.sub(r"^ {4}", "", block, flags=re.MULTILINE)
        code = re.sub(r"^ {3}(?=git )", "", code, flags=re.MULTILINE)  # in an item of a list
        if re.match(r"(- )?[\w.-]+:(\s|$)|# yaml|  - name:|Instructions: ", code) or code.startswith(NO_COMMANDS):
            continue
        for part in code.split("\n\n"):
            if not part.startswith(NO_COMMANDS):
                yield from _joined(part.splitlines())


def _joined(written: list[str]) -> Iterator[str]:
    """Lines with those that continue them, after a backslash or within quotes, and without comments."""
    line = ""
    for each in written:
        line += re.sub(r"\s+#.*", "", each)
        if line.endswith("\\"):
            line = line[:-1]
        elif line.count("'") % 2 == 0:
            yield line.strip()
            line = ""
    assert line == "", "a line is not complete"


def calls(line: str) -> Iterator[list[str]]:
    """The programs that a line calls, each with its arguments, without what the shell does."""
    words = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    words.whitespace_split, words.commenters = True, ""
    call: list[str] = []
    into = False
    for word in [*words, "|"]:
        if word in ("|", "&&", ";"):
            yield call
            call = []
        elif word in (">", "<"):
            into = True
        elif into:
            into = False
        elif call or not re.match(r"[A-Z_]+=", word):
            call.append(word)


COMMANDS = {path.name: [call for line in lines(path.read_text()) for call in calls(line)] for path in DOCUMENTS}
"""The calls of each document, in order."""
