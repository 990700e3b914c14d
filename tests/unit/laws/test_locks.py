"""Each lock that `make lock` compiles from extras of pyproject.toml has what these name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest

from support.documents import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPILED = [
    (re.search(r"-o requirements/(\S+)\.txt", line), re.findall(r"--extra (\S+)", line))
    for line in re.findall(r"^\t\$\(LOCK\) .+$", (ROOT / "Makefile").read_text(), re.MULTILINE)
]
EXTRAS = {output[1]: extras for output, extras in COMPILED if output is not None and extras}


def named(requirements: list[str]) -> Iterator[str]:
    """The packages of these requirements, with those of our own extras."""
    for requirement in requirements:
        if own := re.fullmatch(r"tiltyard\[(\w+)\]", requirement):
            yield from named(PROJECT["optional-dependencies"][own[1]])
        else:
            yield re.split(r"[\[<>=!~ ;]", requirement, maxsplit=1)[0]


def test_the_environments_of_the_project_its_images_and_its_benches_are_looked_at() -> None:
    assert EXTRAS.keys() == {"local", "dev", "operator", "worker", "worker-full", "bench"}


@pytest.mark.parametrize("lock", sorted(EXTRAS))
def test_a_lock_has_what_its_extras_name(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)(?:\[.+\])?==", text, re.MULTILINE))
    wanted = {*named(PROJECT["dependencies"])}
    wanted |= {name for extra in EXTRAS[lock] for name in named(PROJECT["optional-dependencies"][extra])}
    assert wanted - locked == set(), f"run `make lock`: requirements/{lock}.txt lacks them"
