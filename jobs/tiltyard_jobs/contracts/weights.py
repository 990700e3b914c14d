"""Weights on the Hugging Face hub: what is asked of them, and what the pod that brought them reports."""

from __future__ import annotations

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.reported import Number, Seconds


class NamedWeights(Contract):
    """A model on the Hugging Face hub whose size is wanted.

    Attributes:
        name: of the participant.
        field: the manifest's field, for messages.
        uri: `hf://ORG/NAME`.
        mirror: the address of another hub.
        token_env: the variable with the token that it is downloaded with.
    """

    name: str
    field: str
    uri: str
    revision: str | None = None
    mirror: str | None = None
    token_env: str | None = None


class Filled(Contract):
    """A folder with a model.

    Attributes:
        commit: of the hub, 40 hex digits.
        bytes: of all its files.
        seconds: that its download took.
        reused: it was there already.
    """

    commit: str
    bytes: Number
    seconds: Seconds
    reused: bool = False
