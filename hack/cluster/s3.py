"""An S3 server on a folder, for clusters that have none."""

from __future__ import annotations

import os
import subprocess
import time
from typing import NoReturn

import tools
from cluster.api import ClusterApi

PORT = 9000
OUTAGE_SECONDS = 2
BUCKET = "tournaments"
KEYS = {"AWS_ACCESS_KEY_ID": "tiltyard", "AWS_SECRET_ACCESS_KEY": "tiltyard-secret"}


def serve(api: ClusterApi, address: str) -> subprocess.Popen[bytes]:
    """Start the server with an empty bucket `BUCKET`, or with what an earlier one left in the API's folder."""
    objects, metadata = api.folder / "s3" / "objects", api.folder / "s3" / "metadata"
    for folder in (objects / BUCKET, metadata):
        folder.mkdir(parents=True, exist_ok=True)
    keys = [f"{name.replace('AWS_', 'ROOT_')}={value}" for name, value in KEYS.items()]
    process, _ = api.run(
        "versitygw", "env", *keys, tools.ensure("versitygw"), "--port", f"{address}:{PORT}", "--quiet", "posix",
        "--sidecar", metadata, objects,
    )  # fmt: skip
    return process


def keep(api: ClusterApi, address: str, server: subprocess.Popen[bytes]) -> NoReturn:
    """Start the server again whenever it ends, and see all other children end (process 1 is the parent of orphans)."""
    while True:
        ended, _ = os.wait()
        if ended == server.pid:
            time.sleep(OUTAGE_SECONDS)
            server = serve(api, address)
