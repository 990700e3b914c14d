"""The helm binary, and what it renders."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tools

CHART = Path(__file__).resolve().parents[3] / "charts/tiltyard"


class Refused(Exception):
    """Helm's message."""


@dataclass(frozen=True)
class Helm:
    """The binary, with a home of its own."""

    home: Path

    def __call__(self, *arguments: str | Path, values: dict[str, Any] | None = None) -> str:
        """Run it and return what it prints; `values` become a file of values.

        Raises:
            Refused: it said no.
        """
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], "KUBECONFIG": str(self.home / "none")}
        file = self.home / "values.json"
        file.write_text(json.dumps(values or {}))
        command = [tools.ensure("helm"), *arguments, "--values", file]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Refused(done.stdout + done.stderr)
        return done.stdout


class Rendered(dict[tuple[str, str, str], dict[str, Any]]):
    """Objects by kind, namespace (empty: none) and name."""

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [found for (each, _, _), found in self.items() if each == kind]

    def one(self, kind: str) -> dict[str, Any]:
        (found,) = self.of(kind)
        return found


Render = Callable[..., Rendered]


def pod_of(deployment: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod's spec and its only container."""
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert "initContainers" not in spec
    return spec, container
