"""The pages as files: `tiltyard report --battles`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.read_runs import LONG, RUN, Page, Run, make_run
from support.s3server import S3Server
from tiltyard_jobs.contracts.layout import battles_key
from tiltyard_jobs.contracts.solo_tasks import PagesTask
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.shard.entry import main
from tiltyard_jobs.stages.pages import write_pages
from tiltyard_jobs.store import open_store

POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'none'; base-uri 'none'"
BATTLE = re.compile(r"[0-9a-f]{20}\.[a-z]+\.[a-z]+\.html")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("made"))


def write(run: Run, most: int, folder: Path | None = None) -> dict[str, str]:
    """The stage as a worker runs it; the files that it leaves, by name."""
    task = PagesTask(
        tournament="test",
        store=StoreRef(uri=run.world.store.uri),
        run=RUN,
        most=most,
        folder=str(folder) if folder is not None else None,
    )
    path, summary = run.world.root / "pages.json", run.world.root / "pages-summary.json"
    path.write_bytes(task.canonical())
    code = main(["pages", "--task", str(path)], environment={"TILTYARD_SUMMARY": str(summary)})
    assert code == 0, json.loads(summary.read_text())
    return {file.name: file.read_text() for file in (run.folder / "battles").iterdir()}


def test_every_page_is_harmless_and_every_link_leads_to_a_file(made: Run) -> None:
    files = write(made, 1_000)
    assert sum(bool(BATTLE.fullmatch(name)) for name in files) == 48
    for name, text in files.items():
        if not name.endswith(".html"):
            continue
        page = Page(text)
        metas = [attributes for tag, attributes in page.elements if tag == "meta"]
        (policy,) = [one["content"] for one in metas if one.get("http-equiv") == "Content-Security-Policy"]
        assert policy == POLICY
        scripts = [attributes for tag, attributes in page.elements if tag == "script"]
        assert scripts == [{"src": "reader.js", "defer": None}]
        assert not [tag for tag, _ in page.elements if tag in ("img", "iframe", "form", "object", "style", "base")]
        for _, attributes in page.elements:
            assert not any(each.startswith("on") or each == "style" for each in attributes)
            for address in (attributes.get("href"), attributes.get("src")):
                assert address in (None, "data:,") or address in files, (name, address)


def test_what_the_programs_did_is_a_list_with_those_first_that_did_not_pass(made: Run) -> None:
    files = write(made, 9)
    page = Page(files["programs.html"])
    text = page.text
    outcomes = re.findall(r"(\w+) · humaneval HumanEval/(\d) · (\w+)", text)
    assert outcomes == [
        ("Truncated", "0", "trained"),
        ("Crashed", "1", "ada"),
        ("TimedOut", "1", "trained"),
        ("Passed", "0", "ada"),
    ]
    assert "<script>alert(9)</script>⟨U+001B⟩[31m" in text, "shown, not run"
    folded = [given for tag, given in page.elements if tag == "details" and given.get("class") in ("ran", "program")]
    assert len(folded) == 5
    assert not any("open" in given for given in folded)
    assert len(files["programs.html"]) < 100_000, "of a reply of a megabyte only the beginning is there"


def test_a_bucket_gets_the_pages_that_a_folder_gets(made: Run, s3_uri: str, credentials: S3Server) -> None:
    write_pages(made.world.store, RUN, 9)
    bucket = open_store(StoreRef(uri=s3_uri, endpoint=credentials.endpoint))
    try:
        for info in made.world.store.list(""):
            if not info.key.startswith(battles_key(RUN, "")):
                bucket.put(info.key, made.world.store.get(info.key) or b"")
        stale = battles_key(RUN, "stale.html")
        bucket.put(stale, b"of an earlier call")
        write_pages(bucket, RUN, 9)
        written = {info.key: bucket.get(info.key) for info in bucket.list(battles_key(RUN, ""))}
    finally:
        bucket.close()
    assert stale not in written
    assert battles_key(RUN, "index.html") in written
    assert written == {info.key: made.world.store.get(info.key) for info in made.world.store.list(battles_key(RUN, ""))}


def test_a_long_answer_has_a_file_of_its_own(made: Run) -> None:
    files = write(made, 1_000)
    assert files[f"{made.world.id_of('ada', 2)}.bob.txt"] == f"{LONG} the end"
    assert len(files[f"{made.world.id_of('ada', 2)}.ada.bob.html"]) < 300_000


def test_what_is_left_out_is_said_and_pages_of_an_earlier_call_go(made: Run, tmp_path: Path) -> None:
    write(made, 1_000)
    files = write(made, 7, tmp_path / "copy")
    assert sum(bool(BATTLE.fullmatch(name)) for name in files) == 7
    assert "7 in this list; 41 more are not among these pages" in Page(files["all.html"]).text
    copy = {file.name: file.read_text() for file in (tmp_path / "copy" / "battles").iterdir()}
    assert copy == files


def test_the_same_run_gives_the_same_pages(made: Run) -> None:
    assert write(made, 9) == write(made, 9)


def test_a_run_that_is_not_complete_is_refused(made: Run) -> None:
    with pytest.raises(ConfigurationError, match="is not a run's folder"):
        write_pages(made.world.store, "ffffffffffff", 10)
