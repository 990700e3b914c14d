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
        trainer_image: the image of `tiltyard_jobs` with TRL; empty: the worker's.
        trainer_python: the interpreter in it that has TRL; None: the worker's own.
        lm_eval_image: the image of `tiltyard_jobs` with lm-evaluation-harness; empty: the worker's.
        lm_eval_python: the interpreter in it that has the harness; None: the worker's own.
    """

    worker_image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    domain: str = "cluster.local"
    trainer_image: str = ""
    trainer_python: str | None = None
    lm_eval_image: str = ""
    lm_eval_python: str | None = None
