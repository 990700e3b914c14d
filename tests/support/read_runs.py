"""Runs for the battle reader: complete ones and running ones, with texts that attack."""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from support.artifact_rows import Asked
from support.artifact_world import ArtifactWorld
from support.hostile_report import HOSTILE
from tiltyard_jobs.contracts.recipes import DatasetRecipe, StagedArtifact
from tiltyard_jobs.results.documents import Manifest, ManifestFile, Standings, read_document
from tiltyard_jobs.results.run_folder import (
    LEADERBOARD,
    RunFile,
    leaderboard_document,
    put_files,
    put_manifest,
    read_artifacts,
    sealed_files,
    sorted_files,
    written_file,
)
from tiltyard_jobs.results.run_tables import RUN_DROPPED
from tiltyard_jobs.shard.tables import TableWriter

NAMES = ("ada", "bob", "cyd", "dee")
RUN = "0123456789ab"
LONG = "y" * 1_000_000
ATTACKS = (
    *HOSTILE[:-1],
    "[a](javascript:alert(5)) ![x](http://evil.example/x.png) [b](http://evil.example/)",
    "```html\n<script>alert(6)</script>\n```\n<iframe src=//evil.example>",
    "| a | b |\n|:--|--:|\n| <img src=x> | 2 |",
    "مرحبا \u202eevil\u202c שלום",
)
INSTRUCTIONS = {
    name: [f"{name} {row}: {ATTACKS[(row + place) % len(ATTACKS)]}" for row in range(4)]
    for place, name in enumerate(NAMES)
}


PROGRAMS: dict[str, list[dict[str, Any]]] = {
    "ada": [
        {"task_id": "HumanEval/0", "reply": "```python\nreturn 1\n```", "outcome": "Passed", "value": 1.0},
        {
            "task_id": "HumanEval/1",
            "reply": f"{ATTACKS[0]}",
            "outcome": "Crashed",
            "detail": "<script>alert(9)</script>\x1b[31m",
        },
    ],
    "trained": [
        {"task_id": "HumanEval/0", "reply": None, "void": "Truncated"},
        {"task_id": "HumanEval/1", "reply": LONG, "outcome": "TimedOut", "detail": "after 20 seconds"},
    ],
}
"""Rows of `ArtifactWorld.programs`."""


def answer(player: str, attacker: str, row: int) -> str | dict[str, Any] | None:
    """An attack; one is void, one is very long, one was cut."""
    if (player, attacker, row) == ("cyd", "ada", 1):
        return None
    if (player, attacker, row) == ("bob", "ada", 2):
        return f"{LONG} the end"
    if (player, attacker, row) == ("bob", "ada", 3):
        return {"answer": "A heron (bird).", "finish_reason": "length", "thought": "<b>I think</b>"}
    return f"{player} says: {ATTACKS[hashlib.sha256(f'{player}{attacker}{row}'.encode()).digest()[0] % len(ATTACKS)]}"


def vote(asked: Asked) -> float | dict[str, Any] | None:
    """Anything between 0 and 1; the first judge gives its reasons; some are void."""
    luck = hashlib.sha256(repr(asked).encode()).digest()
    if luck[1] < 8:
        return {"vote": None, "void": "Undecided", "detail": "<script>alert(7)</script>"}
    return {"vote": luck[0] / 255, "reason": f"since <b>{asked.player_a}</b> \x1b[31mwins" if luck[2] < 80 else None}


class Run(NamedTuple):
    """A run to read: the world that it was made in, and the recipe of its data."""

    world: ArtifactWorld
    recipe: DatasetRecipe

    @property
    def store(self) -> Path:
        return self.world.root / "store"

    @property
    def folder(self) -> Path:
        return self.store / "runs" / RUN


def make_run(
    root: Path,
    instructions: Mapping[str, list[str]] = INSTRUCTIONS,
    answer: Callable[[str, str, int], str | dict[str, Any] | None] = answer,
    vote: Callable[[Asked], float | dict[str, Any] | None] = vote,
    names: tuple[str, ...] = NAMES,
    kept: Callable[[str, int], str | None] = lambda attacker, row: None,
    programs: Mapping[str, list[dict[str, Any]]] = PROGRAMS,
    **options: Any,
) -> Run:
    """A complete run; `options` are those of `ArtifactWorld`."""
    world = ArtifactWorld(root, names, thoughts="Keep", shard_size=3, **options)
    world.play(dict(instructions), answer=answer, vote=vote, kept=kept)
    ratings = world.rate()
    assert world.run(ratings).code == 0
    dataset = world.dataset(ratings, thoughts="Keep")
    assert world.run(dataset).code == 0
    for name, rows in programs.items():
        world.programs(name, "humaneval", rows)
    standings = read_document(world.artifacts, ratings.ref, "standings", Standings)
    files = sealed_files(world.artifacts, ratings.ref, dataset.ref)
    files.append(written_file(root, LEADERBOARD, leaderboard_document("birds", RUN, standings)))
    files.append(dropped_file(root))
    put_files(world.store, RUN, files)
    staged = [*world.sources]
    staged += [StagedArtifact(role=f"curate/{name}", ref=ref) for name, ref in dataset.lineup.instructions.items()]
    manifest = Manifest(
        tournament="<i>birds</i>",
        run=RUN,
        seed=0,
        versions={},
        leaderboard=(),
        outputs={},
        files=sorted_files(files),
        artifacts=read_artifacts(world.artifacts, staged),
    )
    put_manifest(world.store, manifest)
    return Run(world, dataset)


def dropped_file(root: Path) -> RunFile:
    """The table of instructions that were dropped, with a twin and without."""
    path = root / "dropped.parquet"
    twin = {"reason": "Duplicate", "stage": "filter", "twin_id": "f" * 20, "twin": f"kept: {ATTACKS[0]}"}
    with TableWriter(path, RUN_DROPPED) as table:
        for row, text in enumerate(ATTACKS):
            about = {"instruction_id": f"{row:020x}", "attacker": NAMES[row % 4], "instruction": f"dropped: {text}"}
            table.write(about | (twin if row == 3 else {"reason": "Diversity", "stage": "curate"}))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    described = ManifestFile(path="tables/dropped.parquet", sha256=digest, size=path.stat().st_size, rows=len(ATTACKS))
    return RunFile(described, path)


class Answered(NamedTuple):
    """What the server answered."""

    status: int
    headers: dict[str, str]
    text: str


class Served(NamedTuple):
    """A reader that serves: the address that it printed, and its cookie."""

    address: str
    cookie: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        port = urlsplit(self.address).port
        assert port is not None
        return port

    def get(self, path: str, *, method: str = "GET", body: str | None = None, **headers: str) -> Answered:
        """One request, with the cookie if no other is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {"Cookie": self.cookie} | {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            text = answer.read().decode()
            return Answered(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)
        finally:
            connection.close()


def noting_browser(folder: Path) -> tuple[Path, Path]:
    """A program to open as a browser, and the file into which it writes the address that it is given."""
    program, noted = folder / "browser", folder / "noted"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {noted}.new && mv {noted}.new {noted}\n')
    program.chmod(0o755)
    return program, noted


@contextmanager
def served(*arguments: str, folder: Path, browser: str = "") -> Iterator[Served]:
    """`tiltyard view` in a process of its own, in a folder, on a free port; it may open a browser."""
    command = [sys.executable, "-m", "tiltyard", "view", *arguments, "--port", "0"]
    command += [] if browser else ["--no-browser"]
    given = os.environ | ({"BROWSER": browser} if browser else {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=given) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("http://127.0.0.1:"), line
            address = line.split()[0]
            entered = Served(address, "", process).get(f"/?{urlsplit(address).query}")
            yield Served(address, entered.headers["set-cookie"].partition(";")[0], process)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0


class Page(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def links(self, **wanted: str) -> list[str]:
        """Addresses of links with these attributes."""
        return [
            attributes["href"] or ""
            for tag, attributes in self.elements
            if tag == "a" and "href" in attributes and wanted.items() <= attributes.items()
        ]
