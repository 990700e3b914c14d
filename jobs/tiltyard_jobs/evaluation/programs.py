"""Tasks whose answer is a program: what a model is asked, and the program that is made of its reply."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Where a completion of a function's header has left the function (arXiv 2107.03374, section 2.1). A server takes four
# at most; the reply is cut at all of them.
STOPS = ("\nclass ", "\ndef ", "\nif ", "\nprint(")
_MORE_STOPS = ("\n#", "\n@", "\nassert ", "\n```", "\nfrom ", "\nimport ")

_FENCE = re.compile(r"^(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class CodeTask:
    """One task: a program to be written.

    Attributes:
        task_id: the benchmark's own.
        prompt: Python that a model goes on with: a header with a docstring, or a docstring alone.
        entry_point: the function that is tested; None where the tests name it.
        check: Python that raises where the solution is wrong, run after it.
    """

    task_id: str
    prompt: str
    entry_point: str | None
    check: str

    @property
    def stops(self) -> tuple[str, ...]:
        """Where a server ends a raw completion."""
        return STOPS

    def message(self) -> str:
        """The user's turn."""
        return (
            "Solve this task in Python. Reply with the whole program in one fenced code block, imports included and"
            f" without tests or examples.\n\n```python\n{self.prompt.rstrip()}\n```"
        )

    def from_chat(self, reply: str) -> str:
        """The program of a chat reply: its code, behind the task's own imports and helpers, before the tests."""
        code = find_code(reply, self.entry_point)
        if self.entry_point is not None and not defines(code, self.entry_point):
            return f"{self.prompt}{code}\n\n{self.check}"  # the body alone
        return f"{_head(self)}{code}\n\n{self.check}"

    def from_completion(self, reply: str) -> str:
        """The program of a raw completion: the task's text, what follows up to the end of the function, the tests."""
        starts_function = self.entry_point is not None and defines(self.prompt, self.entry_point)
        return f"{self.prompt}{cut_after_function(reply) if starts_function else reply}\n\n{self.check}"


def cut_after_function(reply: str) -> str:
    """A completion of a function's header, up to where it has left the function."""
    places = [place for stop in (*STOPS, *_MORE_STOPS) if (place := reply.find(stop)) >= 0]
    return reply[: min(places, default=len(reply))]


def _head(task: CodeTask) -> str:
    """What stands before the function in the task's text: imports, helpers. Nothing where the text is a docstring."""
    if task.entry_point is None:
        return ""
    found = re.search(rf"^def {re.escape(task.entry_point)}\b", task.prompt, re.MULTILINE)
    return task.prompt[: found.start()] if found else ""


def find_code(reply: str, entry_point: str | None) -> str:
    """The code of a reply: the last block that defines the function, else the first of Python, else the first.

    The last, since who finds a mistake in its own program writes the whole again below it.
    """
    blocks: list[tuple[str, str]] = [(language.lower(), body) for _, language, body in _FENCE.findall(reply)]
    if not blocks:
        return reply
    for language, body in reversed(blocks):
        if entry_point is not None and language in ("", "python", "py", "python3") and defines(body, entry_point):
            return body
    return next((body for language, body in blocks if language.startswith("py")), blocks[0][1])


def defines(code: str, name: str) -> bool:
    """Whether code defines a name, by its text."""
    return (
        re.search(rf"^[ \t]*(?:async[ \t]+)?def {re.escape(name)}\b|^{re.escape(name)}[ \t]*=", code, re.M) is not None
    )
