"""The version: pyproject.toml has it, and the chart and the Dockerfile get copies.

    python3 hack/version.py [--check | --write]

Without an option it prints the version. Only the standard library is needed.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIES = {
    "charts/tiltyard/Chart.yaml": r"^(?:version|appVersion): (\S+)$",
    "Dockerfile": r"^ARG VERSION=(\S+)$",
}
"""Where copies stand; the group is the version."""


def version() -> str:
    """The version of the package, the images and the chart."""
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return found


def with_version(text: str, pattern: str, version: str) -> str:
    """A file's text with the version in each place that the pattern matches."""
    return re.sub(pattern, lambda found: found[0].replace(found[1], version), text, flags=re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(description="The version: pyproject.toml has it, other files get copies.")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="exit with 1 when a copy differs")
    action.add_argument("--write", action="store_true", help="write the copies")
    options = parser.parse_args()
    if not options.check and not options.write:
        print(version())
    for name, pattern in COPIES.items():
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        wanted = with_version(text, pattern, version())
        if options.write:
            path.write_text(wanted, encoding="utf-8")
        elif options.check and text != wanted:
            print(
                f"{name} has another version than pyproject.toml; run: python3 hack/version.py --write", file=sys.stderr
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
