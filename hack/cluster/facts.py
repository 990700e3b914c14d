"""What a developer or a test has to know of a cluster that is up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cluster:
    """A cluster with KServe, and a bucket that its pods reach.

    Attributes:
        kubeconfig: of a user who may do everything.
        endpoint: URL of the S3 server, the same for pods and for this machine.
        bucket: for artifacts.
        keys: credentials for the bucket, as environment variables.
        images: references of the images `operator` and `worker`.
        machine: the path below which a node sees this machine's folders, which serve models on vLLM; None: it does not.
    """

    kubeconfig: Path
    endpoint: str
    bucket: str
    keys: Mapping[str, str]
    images: Mapping[str, str]
    machine: str | None

    def chart_values(self) -> list[str]:
        """Helm's arguments that install the cluster's images."""
        return [
            f"--set={field}.{part}={value}"
            for name, field in (("operator", "image"), ("worker", "worker.image"))
            for part, value in zip(("repository", "tag"), self.images[name].rsplit(":", 1), strict=True)
        ]
