"""Packages that a worker may lack, and where they are."""

from __future__ import annotations

import os

from tiltyard_jobs.errors import ConfigurationError

IMAGE_VARIABLE = "TILTYARD_IMAGE"
"""In a pod, the image of the worker's container."""


def missing(needs: str, package: str, install: str, otherwise: str) -> ConfigurationError:
    """The error for a package that is not there; on a cluster it names the image.

    Args:
        needs: begins the sentence: what needs it.
        package: its name, or `it`.
        install: what to install on one machine.
        otherwise: what else to do.
    """
    if image := os.environ.get(IMAGE_VARIABLE):
        return ConfigurationError(
            f"{needs}, and the image {image} does not have {package}; build the image worker-full and name it in the"
            f" chart's worker.image, {otherwise}"
        )
    named = package if package == "it" else f"the package {package}"
    return ConfigurationError(f"{needs}, and {named} is not installed; install {install}, {otherwise}")


def missing_embedder(package: str) -> ConfigurationError:
    """The error where SentenceTransformers cannot embed, for lack of its package (`it`) or of another one."""
    needs = "SentenceTransformers needs the package sentence-transformers"
    return missing(needs, package, "the extra tiltyard[embeddings]", "or give HashedNgrams or an endpoint")
