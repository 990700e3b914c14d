"""A cluster for development and for the end-to-end tests: `PYTHONPATH=hack python -m cluster.up ACTION`.

ACTION is one of prepare, up, down, status. `TILTYARD_CLUSTER` chooses which cluster: `node` (this machine's own, see
`machine.py`), `kind`, or `existing` (see there; never by itself: the cluster that `KUBECONFIG` names may be one that
others work with). Unset: kind where it and Docker are to be had, or else `node`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Protocol

import envs
import tools
from cluster import existing, holder, kind, machine
from cluster.facts import Cluster
from cluster.processes import ClusterError


class Maker(Protocol):
    """A module that makes clusters of one sort. All raise `ClusterError` where something is missing."""

    def prepare(self, *, vllm: bool) -> object:
        """Build all that a cluster is made of."""

    def up(self, *, vllm: bool) -> None:
        """Start one that is down, and wait until it can run pods."""

    def down(self) -> None:
        """End it, and remove all that is left of it. One that is down already is no error."""

    def find(self) -> Cluster | None:
        """The cluster; None: it is down."""


CHOICES: dict[str, Maker] = {machine.MAKER: machine, kind.MAKER: kind, "existing": existing}


def chosen() -> Maker:
    """What makes the cluster.

    Raises:
        ClusterError: `TILTYARD_CLUSTER` names none.
    """
    name = os.environ.get("TILTYARD_CLUSTER") or ("kind" if kind.is_possible() else "node")
    if name not in CHOICES:
        raise ClusterError(f"TILTYARD_CLUSTER is {name!r}: allowed are {', '.join(CHOICES)}")
    return CHOICES[name]


def prepare(*, vllm: bool) -> None:
    """Build all that the cluster is made of.

    Raises:
        ClusterError: something that cannot be built is missing.
    """
    chosen().prepare(vllm=vllm)


def up(*, vllm: bool) -> Cluster:
    """The cluster, started where it is down. Callers at the same time wait for the first of them.

    Raises:
        ClusterError: something is missing, or does not come up.
    """
    holder.folder().parent.mkdir(parents=True, exist_ok=True)
    with envs.exclusive(holder.folder().with_name(".cluster.lock")):
        maker = chosen()
        if maker.find() is None:
            maker.up(vllm=vllm)
        found = maker.find()
    if found is None:
        raise ClusterError("the cluster went down again at once")
    return found


def down() -> None:
    """End the cluster. One that is down already is no error."""
    chosen().down()


def find() -> Cluster | None:
    """The cluster; None: it is down."""
    return chosen().find()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="A cluster for development and tests.")
    parser.add_argument("action", choices=["prepare", "up", "down", "status"])
    parser.add_argument("--vllm", action="store_true", help="with a runtime for vLLM on the CPU")
    options = parser.parse_args()
    try:
        if options.action == "prepare":
            prepare(vllm=options.vllm)
            return 0
        if options.action == "up":
            began = time.monotonic()
            up(vllm=options.vllm)
            print(f"up after {time.monotonic() - began:.0f} s", file=sys.stderr)
        elif options.action == "down":
            down()
        found = find()
    except (ClusterError, envs.SetupError, tools.ToolError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if found is None:
        print("the cluster is down")
        return 0
    print(f"export KUBECONFIG={found.kubeconfig}")
    keys = f", keys {' / '.join(found.keys.values())}" if found.machine is not None else ""
    print(f"# S3: {found.endpoint}, bucket {found.bucket}{keys}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
