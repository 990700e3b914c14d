"""What the operator was told of its cluster, as the objects need it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClusterSettings:
    """How children are made.

    Attributes:
        worker_image: the image of `tiltyard_jobs`.
        pull_policy: of that image.
        pull_secrets: Secrets with which that image is pulled, in the tournament's namespace.
        domain: the cluster's DNS domain.
    """

    worker_image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    domain: str = "cluster.local"
