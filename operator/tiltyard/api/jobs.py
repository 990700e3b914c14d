"""How the work is divided into Jobs."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tiltyard.api.base import ApiModel
from tiltyard.api.pods import OWN_VARIABLES, WORKER_PATHS, WORKER_VOLUMES, PodPatch, own_paths, own_volumes
from tiltyard.api.resources import Resources
from tiltyard.api.scalars import Share
from tiltyard.api.shapes import Whole


class Jobs(ApiModel):
    """How the work is divided into Jobs."""

    RULES = (OWN_VARIABLES, own_paths(WORKER_PATHS), own_volumes(WORKER_VOLUMES))

    shard_size: Annotated[int, Whole(1, 1_000_000)] = 512
    """The number of records in one shard. It decides how files are divided, so changing it recomputes everything.
    Default: 512."""
    parallelism: Annotated[int, Whole(1, 1000)] = 4
    """The number of shards of one Job that run at once. Default: 4."""
    backoff_limit_per_shard: Annotated[int, Whole(0, 100)] = 3
    """The number of retries of a shard before it has failed. Default: 3."""
    max_void_fraction: Share = Decimal("0.01")
    """The share of a shard's records that may fail, rounded up: records on which the server failed, and verdicts and
    grades that are cut, empty or undecided. Unless this is 0, three may always fail, if these are not
    all, and a judge may leave a tenth of its verdicts undecided besides. The same holds for all verdicts of a judge
    together. Default: 0.01."""
    resources: Resources = Resources(requests={"cpu": "500m", "memory": "512Mi"})
    """The resources of one worker. On a cluster its limits are 4 CPUs and 8Gi where none are given, or its requests if
    these are more. Default: requests of cpu 500m and memory 512Mi."""
    pod: PodPatch = PodPatch()
    """Additions to the workers' pods."""
