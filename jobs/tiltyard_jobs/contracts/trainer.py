"""How a training runs."""

from __future__ import annotations

from tiltyard_jobs.contracts.frozen import Contract


class TrainerRef(Contract):
    """What fine-tunes. None of it is in a key: it is how, not what.

    Attributes:
        python: an interpreter with TRL; None: the worker's own.
        base: where the base model is: a folder, or a name on the Hugging Face hub.
        devices: GPUs of one node; 0: none, the CPU.
        nodes: machines that train together.
        device_batch: sequences that a device takes at once.
        field: the manifest's field, for messages.
        token_env: the variable with the token that the base model is downloaded with; None: what the worker has.
        hub: the mirror of the hub; None: the hub itself.
    """

    python: str | None = None
    base: str
    devices: int = 0
    nodes: int = 1
    device_batch: int = 1
    field: str = "spec.training"
    token_env: str | None = None
    hub: str | None = None
