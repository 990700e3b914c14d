"""Machines that train together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from tiltyard_jobs.errors import ConfigurationError

RANK, ADDRESS, PORT = "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT"
"""What a runtime of Kubeflow Trainer with `mlPolicy.torch` tells each of its pods."""


@dataclass(frozen=True)
class Nodes:
    """The machines, as one of them sees it.

    Attributes:
        count: how many there are.
        rank: which this one is, from 0. The first keeps checkpoints and publishes the result.
        address: of the first one.
        port: where it waits for the others.
    """

    count: int = 1
    rank: int = 0
    address: str = ""
    port: int = 0

    @classmethod
    def of(cls, count: int, environment: Mapping[str, str]) -> Self:
        """From what this machine was told.

        Raises:
            ConfigurationError: it was not told where the others are.
        """
        if count == 1:
            return cls()
        try:
            return cls(count, int(environment[RANK]), environment[ADDRESS], int(environment[PORT]))
        except (KeyError, ValueError):
            raise ConfigurationError(
                f"{count} nodes cannot find each other: the runtime gives its pods no {RANK}, {ADDRESS} and {PORT};"
                " take one with mlPolicy.torch"
            ) from None

    @property
    def is_first(self) -> bool:
        """Whether this is the machine that publishes."""
        return self.rank == 0

    def launcher(self, devices: int) -> list[str]:
        """What comes after the interpreter to start a process for each device.

        Args:
            devices: of this machine; 1 for a CPU.
        """
        if self.count == 1 and devices == 1:
            return []
        command = ["-m", "torch.distributed.run", f"--nproc-per-node={devices}"]
        if self.count == 1:
            return [*command, "--standalone"]
        return [
            *command, f"--nnodes={self.count}", f"--node-rank={self.rank}", f"--master-addr={self.address}",
            f"--master-port={self.port}",
        ]  # fmt: skip
