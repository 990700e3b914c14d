"""The worker: `python -m tiltyard_jobs STAGE --task FILE`; or `fork-server DESCRIPTOR`, which starts workers."""

from __future__ import annotations

import sys

from tiltyard_jobs.contracts.forking import COMMAND

if __name__ == "__main__":
    if sys.argv[1:2] == [COMMAND]:
        from tiltyard_jobs.shard.forkserver import serve

        sys.exit(serve(int(sys.argv[2])))
    from tiltyard_jobs.shard.entry import main

    sys.exit(main())
