"""The worker: `python -m tiltyard_jobs STAGE --task FILE`."""

from __future__ import annotations

import sys

from tiltyard_jobs.shard.entry import main

if __name__ == "__main__":
    sys.exit(main())
