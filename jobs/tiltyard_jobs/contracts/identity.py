"""What makes two models the same model."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field

from tiltyard_jobs.contracts.frozen import key_of
from tiltyard_jobs.contracts.located import Located


class ModelIdentity(Located):
    """The part of a model's description that can change what it says; its name in a tournament is not in it.

    Attributes:
        uri: where the weights are (`hf://…`), `sim://…`, or for an endpoint `URL#model`.
        revision: the weights' revision, where the uri has one; `sha256:…` where it is the digest of their files.
        options: serving options that can change replies (a quantisation, say), sorted.
        extra_body: what is added to each request for text, as canonical JSON; empty where there is nothing.
        thought_marks: the opening and the closing mark of its thoughts, where they are the user's own.
        stop: texts at which its replies end, where they are the user's own.
    """

    uri: str
    revision: str | None = None
    options: tuple[str, ...] = ()
    extra_body: str = Field(default="", exclude_if=lambda text: not text)
    thought_marks: tuple[str, ...] = Field(default=(), exclude_if=lambda marks: not marks)
    stop: tuple[str, ...] = Field(default=(), exclude_if=lambda texts: not texts)

    @property
    def bare(self) -> ModelIdentity:
        """The model, however it is asked and read."""
        return self.model_copy(update={"extra_body": "", "thought_marks": (), "stop": ()})

    @cached_property
    def id(self) -> str:
        """Twelve hex digits that stand for this model in records."""
        return key_of(self)[:12]
