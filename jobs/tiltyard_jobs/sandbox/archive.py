"""This package as one file, for interpreters and images that have no Tiltyard.

`python -m tiltyard_jobs.sandbox.archive FILE` writes it. `PYTHON -I FILE MODULE …` runs a module out of it, as
`PYTHON -I -m MODULE …` does where the package is installed.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

_START = """\
import runpy
import sys

runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def archive() -> bytes:
    """The archive: the same bytes whenever the sources are the same."""
    package = Path(__file__).parent
    sources = {"__main__.py": _START, f"{package.parent.name}/__init__.py": ""}
    for path in sorted(package.glob("*.py")):
        sources[f"{package.parent.name}/{package.name}/{path.name}"] = path.read_text(encoding="utf-8")
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as file:
        for name, source in sources.items():
            file.writestr(zipfile.ZipInfo(name, _LONG_AGO), source)
    return whole.getvalue()


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(archive())
