"""How the work is cut into Jobs."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tiltyard.api.base import ApiModel
from tiltyard.api.pods import PodPatch, Resources
from tiltyard.api.scalars import Share
from tiltyard.api.shapes import Whole


class Jobs(ApiModel):
    """How the work is cut into Jobs."""

    shard_size: Annotated[int, Whole(1, 1_000_000)] = 512
    """Records of one shard. It shapes the files, so changing it makes them anew. Default: 512."""
    parallelism: Annotated[int, Whole(1, 1000)] = 4
    """Shards of one bundle at work at once. Default: 4."""
    backoff_limit_per_shard: Annotated[int, Whole(0, 100)] = 3
    """Times that a shard is tried again before it has failed. Default: 3."""
    max_void_fraction: Share = Decimal("0.01")
    """A larger share of records that the server failed on, or that a judge or a grader left cut or empty, fails the
    stage; one such record never does, unless 0 is given. Default: 0.01."""
    resources: Resources = Resources(requests={"cpu": "500m", "memory": "512Mi"})
    """Resources of one worker. Default: requests of cpu 500m and memory 512Mi."""
    pod: PodPatch = PodPatch()
    """What is added to the workers' pods."""
