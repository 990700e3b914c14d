"""What Argo CD and Flux make of a Tournament, by their own engines: the health script in gopher-lua, and kstatus."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tools
from support.documents import ROOT

HEALTH = ROOT / "charts/tiltyard/argocd/health.lua"
TOOL = "gitops-health"


class Judged(NamedTuple):
    """Two words: a health of Argo CD, a status of kstatus; and the message that Argo CD shows."""

    argo: str
    kstatus: str
    message: str = ""

    @property
    def words(self) -> tuple[str, str]:
        """Without the message."""
        return self.argo, self.kstatus


RUNNING = ("Progressing", "InProgress")
SUSPENDED = ("Suspended", "InProgress")  # kstatus has no word for it: Flux waits until it is resumed
COMPLETE = ("Healthy", "Current")
FAILED = ("Degraded", "Failed")
DELETED = ("Progressing", "Terminating")
EXPECTED = {"Suspended": SUSPENDED, "Complete": COMPLETE, "Failed": FAILED, "Invalid": FAILED}
"""By `status.phase`; all other phases are RUNNING."""


def judged(objects: Sequence[Mapping[str, Any]]) -> list[Judged]:
    """The verdicts on objects as the API server gives them."""
    done = subprocess.run(
        [tools.ensure(TOOL), HEALTH], input=json.dumps(objects), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [
        Judged(one["argo"]["status"], one["kstatus"]["status"], one["argo"]["message"])
        for one in json.loads(done.stdout)
    ]
