"""What makes two models the same model."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field

from tiltyard_jobs.contracts.frozen import Contract, key_of
from tiltyard_jobs.contracts.located import DIGEST, Located, LocatedFile, readable
from tiltyard_jobs.contracts.vocabulary import BadRowRule


class AnswerFiles(Contract):
    """Where a competitor's answers are that were written before the tournament.

    Attributes:
        files: in order.
        field: the column that holds an answer, or a path to it.
        id_field: likewise the instruction's id; None: `instruction_field` tells which instruction it is.
        instruction_field: likewise the instruction's text.
        on_bad_row: what becomes of a row that is not what it should be.
    """

    files: tuple[LocatedFile, ...]
    field: str
    id_field: str | None = Field(default=None, exclude_if=lambda path: path is None)
    instruction_field: str | None = Field(default=None, exclude_if=lambda path: path is None)
    on_bad_row: BadRowRule = Field(default="Refuse", exclude_if=lambda rule: rule == "Refuse")

    @property
    def place(self) -> str:
        """Their address without what is nobody else's; of several files that of the first, and how many they are."""
        first, more = public(self.files[0].uri), len(self.files) - 1
        return f"{first} and {more} more" if more else first


ANSWERS_FROM = "answers from "
"""What stands before the file of existing answers, where people see it."""


class ModelIdentity(Located):
    """The part of a model's description that can change what it says; its name in a tournament is not in it.

    Attributes:
        uri: where the weights are (`hf://…`), `sim://…`, or for an endpoint `URL#model`; empty for existing answers.
        revision: the weights' revision, where the uri has one; `sha256:…` where it is the digest of their files.
        options: serving options that can change replies (a quantisation, say), sorted.
        extra_body: what is added to each request for text, as canonical JSON; empty where there is nothing.
        thought_marks: the opening and the closing mark of its thoughts, where they are the user's own.
        stop: texts at which its replies end, where they are the user's own.
        answers: of a competitor that has no model: where its answers are.
    """

    uri: str
    revision: str | None = None
    options: tuple[str, ...] = ()
    extra_body: str = Field(default="", exclude_if=lambda text: not text)
    thought_marks: tuple[str, ...] = Field(default=(), exclude_if=lambda marks: not marks)
    stop: tuple[str, ...] = Field(default=(), exclude_if=lambda texts: not texts)
    answers: AnswerFiles | None = Field(default=None, exclude_if=lambda answers: answers is None)

    @property
    def bare(self) -> ModelIdentity:
        """The model, however it is asked and read."""
        return self.model_copy(update={"extra_body": "", "thought_marks": (), "stop": ()})

    @cached_property
    def id(self) -> str:
        """Twelve hex digits that stand for this model in records."""
        return key_of(self)[:12]

    @property
    def source(self) -> tuple[str, str | None]:
        """Where what it says comes from, and the revision of that: of existing answers the digest of their file."""
        if self.answers is None:
            return self.uri, self.revision
        digest = self.answers.files[0].sha256 if len(self.answers.files) == 1 else None
        return self.answers.place, None if digest is None else DIGEST + digest

    @property
    def described(self) -> str:
        """What people see of it: its uri, or the file of its answers."""
        return self.uri if self.answers is None else f"{ANSWERS_FROM}{self.answers.place}"


def public(uri: str) -> str:
    """An address without what is nobody else's: the folders of this machine, a query with a token."""
    plain = uri.split("?", 1)[0].split("#", 1)[0]
    return readable(plain).rstrip("/").rpartition("/")[2] if plain.startswith("file:") else plain
