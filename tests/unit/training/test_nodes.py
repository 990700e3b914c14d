"""Machines that train together, as their runtime tells them."""

from __future__ import annotations

import pytest

from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.training.nodes import Nodes

TOLD = {"PET_NODE_RANK": "1", "PET_MASTER_ADDR": "train-node-0-0.train", "PET_MASTER_PORT": "29400"}


def test_one_machine_needs_nobody() -> None:
    nodes = Nodes.of(1, {})
    assert nodes.is_first
    assert nodes.launcher(1) == []
    assert nodes.launcher(4) == ["-m", "torch.distributed.run", "--nproc-per-node=4", "--standalone"]


def test_several_meet_at_the_first() -> None:
    nodes = Nodes.of(2, TOLD)
    assert not nodes.is_first
    assert nodes.launcher(8) == [
        "-m", "torch.distributed.run", "--nproc-per-node=8", "--nnodes=2", "--node-rank=1",
        "--master-addr=train-node-0-0.train", "--master-port=29400",
    ]  # fmt: skip


@pytest.mark.parametrize("missing", sorted(TOLD))
def test_a_runtime_that_does_not_tell_them_is_named(missing: str) -> None:
    told = {name: value for name, value in TOLD.items() if name != missing}
    with pytest.raises(ConfigurationError, match=r"2 nodes cannot find each other: .* take one with mlPolicy\.torch"):
        Nodes.of(2, told)
