"""What a benchmark declares, and readers of the fields of its records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

Record = Mapping[str, Any]
"""One record of a benchmark, as its authors publish it."""


class Task(Protocol):
    """One task: what a model is asked, and the program that is made of its reply.

    The program ends without an error where the reply is right.
    """

    @property
    def task_id(self) -> str:
        """The benchmark's own name of it."""
        ...

    @property
    def prompt(self) -> str:
        """The text that a model goes on with."""
        ...

    @property
    def stops(self) -> tuple[str, ...]:
        """Where a server ends a raw completion."""
        ...

    def message(self) -> str:
        """The user's turn."""
        ...

    def from_chat(self, reply: str) -> str:
        """The program of a chat reply."""
        ...

    def from_completion(self, reply: str) -> str:
        """The program of a raw completion of `prompt`."""
        ...


@runtime_checkable
class SolvedTask(Task, Protocol):
    """A task whose authors give a solution."""

    def reference(self) -> str:
        """The program of the authors' solution."""
        ...


class HubDataset(NamedTuple):
    """A data set on the Hugging Face hub.

    Attributes:
        repository: its name.
        configuration: of it; None: its only one.
        split: that holds the tasks.
    """

    repository: str
    configuration: str | None = None
    split: str = "test"


@dataclass(frozen=True)
class Benchmark:
    """A benchmark of programming tasks.

    Attributes:
        title: its name in a report.
        hub: where its records are published.
        read: a task of a record. Raises KeyError where a field is missing, TypeError or ValueError where it is wrong.
        texts: fields of a record that training data must not repeat: the question, then the solution; a record of a
            file may lack one.
        installed: its records from an installed package, in place of the hub; None where that is not installed.
        paper: what WarriorCoder scores on it, from 0 to 1, trained from DeepSeek-Coder-6.7B-base (arXiv 2412.17395,
            table 1); None: it is not in the paper.
    """

    title: str
    hub: HubDataset
    read: Callable[[Record], Task]
    texts: tuple[str, ...]
    installed: Callable[[], list[dict[str, Any]] | None] = lambda: None
    paper: float | None = None


def identifier(record: Record, name: str = "task_id") -> str:
    """A field that names the task, a text or a number.

    Raises:
        KeyError: it is missing.
        TypeError: it is something else.
    """
    value = record[name]
    if not isinstance(value, str | int):
        raise TypeError(f"{name} is {type(value).__name__}")
    return str(value)


def text(record: Record, name: str) -> str:
    """A field that is a text.

    Raises:
        KeyError: it is missing.
        TypeError: it is something else.
    """
    value = record[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is {type(value).__name__}, not a text")
    return value


def texts(record: Record, name: str) -> list[str]:
    """A field that is a list of texts, one at least.

    Raises:
        KeyError: it is missing.
        TypeError: it is something else.
    """
    value = record[name]
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{name} is not a list of texts")
    return value
