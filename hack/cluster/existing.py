"""A cluster that somebody else has made: found by `KUBECONFIG`, with KServe, a bucket and the two images."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import tools
from cluster.facts import Cluster
from cluster.processes import ClusterError

IMAGES = {"operator": "TILTYARD_OPERATOR_IMAGE", "worker": "TILTYARD_WORKER_IMAGE"}
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
NEEDED = ("KUBECONFIG", *IMAGES.values(), "TILTYARD_S3_ENDPOINT", "TILTYARD_S3_BUCKET", *KEYS)
RESOURCE = "inferenceservices.serving.kserve.io"


def prepare(*, vllm: bool) -> None:
    """See that everything is said: nothing is built for a cluster of somebody else.

    Raises:
        ClusterError: something is not said.
    """
    if missing := [name for name in NEEDED if not os.environ.get(name)]:
        raise ClusterError(f"an existing cluster needs the environment variables {', '.join(missing)}")
    for name in IMAGES.values():
        if ":" not in os.environ[name].rpartition("/")[2]:
            raise ClusterError(f"{name} is {os.environ[name]!r}: allowed is REPOSITORY:TAG")


def up(*, vllm: bool) -> None:
    """It is up, or will never be."""
    prepare(vllm=vllm)


def down() -> None:
    """A cluster of somebody else stays as it is."""


def find() -> Cluster | None:
    """The cluster; None where it is not named.

    Raises:
        ClusterError: it does not answer, or has no KServe.
    """
    if not all(os.environ.get(name) for name in NEEDED):
        return None
    prepare(vllm=False)
    command = [str(tools.ensure("kubectl")), "get", "crd", RESOURCE, "--output=name", "--request-timeout=10s"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:]
        raise ClusterError(f"KServe is not found by KUBECONFIG={os.environ['KUBECONFIG']}: {''.join(why)}")
    return Cluster(
        kubeconfig=Path(os.environ["KUBECONFIG"]),
        endpoint=os.environ["TILTYARD_S3_ENDPOINT"],
        bucket=os.environ["TILTYARD_S3_BUCKET"],
        keys={name: os.environ[name] for name in KEYS},
        images={name: os.environ[variable] for name, variable in IMAGES.items()},
        machine=None,
    )
