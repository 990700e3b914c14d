"""A person's votes: a real reader on a real socket, a file of labels on a real disk."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from support.read_runs import LONG, NAMES, RUN, Answered, Page, Run, Served, answer, make_run, served
from tiltyard_jobs.contracts.calibration import Calibration
from tiltyard_jobs.contracts.reading import ReadTask
from tiltyard_jobs.contracts.solo_tasks import CalibrateTask
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError, TransientError
from tiltyard_jobs.reader.index import build_index
from tiltyard_jobs.reader.labels import Label, LabelFile
from tiltyard_jobs.reader.proposals import SAMPLE, TELLING, Proposals, agreement
from tiltyard_jobs.reader.session import Session
from tiltyard_jobs.reader.source import run_folder
from tiltyard_jobs.shard.entry import main
from tiltyard_jobs.store import open_store
from tiltyard_jobs.store.folder import FolderStore

ANY_NAME = re.compile(rf"\b({'|'.join(NAMES)})\b")


def nameless(player: str, attacker: str, row: int) -> str | dict[str, Any] | None:
    """The answers of other tests, without their authors' names; no answer is like another."""
    given = answer(player, attacker, row)
    if isinstance(given, str) and given.startswith(player):
        tag = sum(map(ord, player + attacker)) * 10 + row
        return f"Answer {tag} {given.removeprefix(player)}"
    return given


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    instructions = {name: [f"Task {place}.{row} <b>" for row in range(4)] for place, name in enumerate(NAMES)}
    return make_run(tmp_path_factory.mktemp("made"), instructions, nameless)


@pytest.fixture(scope="module")
def proposals(made: Run) -> Proposals:
    return Proposals(build_index(run_folder(open_store(StoreRef(uri=made.folder.as_uri())), "")))


class Asked(NamedTuple):
    """What a page for a vote holds."""

    answer: Answered
    token: str
    battle: str
    last: str


def ask(reader: Served) -> Asked:
    """The next battle."""
    answered = reader.get("/label")
    assert answered.status == 200
    fields = [attributes for tag, attributes in Page(answered.text).elements if tag == "input"]
    token, *battles = [str(one["value"]) for one in fields if one["type"] == "hidden"][:2]
    last = re.search(r'href="/label/([0-9a-f]{16})"', answered.text)
    return Asked(answered, token, battles[0] if 'value="1"' in answered.text else "", last.group(1) if last else "")


def vote(reader: Served, asked: Asked, what: str, **more: str) -> Answered:
    """A vote as the page's form sends it."""
    fields = {"token": asked.token, "battle": asked.last if what == "undo" else asked.battle, "vote": what} | more
    headers = {"Content_Type": "application/x-www-form-urlencoded", "Sec_Fetch_Site": "same-origin"}
    return reader.get("/label", method="POST", body=urlencode(fields), **headers)


def rows(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_votes_are_stored_blind_and_once(made: Run, tmp_path: Path) -> None:
    """All battles, to the last one: no page names a player, and the side that was pressed is the one that wins."""
    file = tmp_path / "labels.jsonl"
    with served(str(made.store), "--label", str(file), folder=tmp_path) as reader:
        assert reader.get("/").headers["location"] == "/label"
        seen: list[str] = []
        while (asked := ask(reader)).battle:
            assert not ANY_NAME.search(asked.answer.text), ANY_NAME.search(asked.answer.text)
            assert not ANY_NAME.search(str(asked.answer.headers))
            assert "form-action 'self'" in asked.answer.headers["content-security-policy"]
            assert ("agree" in Page(asked.answer.text).text.lower()) is False
            first = reader.get(f"/label/{asked.battle}/1").text
            seen.append(asked.battle)
            assert reader.get(f"/label/{asked.battle}").status == 404, "the jury's votes before the person's"
            stored = vote(reader, asked, "1")
            assert (stored.status, stored.headers["location"]) == (303, "/label")
            assert vote(reader, asked, "2").headers["location"] == "/label?late"
            label = rows(file)[-1]
            winner = label[label["winner"]]
            assert label["shown_first"] == winner
            assert reader.get(f"/text/{label['instruction_id']}/{winner}").text == first
            there = reader.get(f"/label/{asked.battle}").headers["location"]
            assert there == f"/battle/{label['instruction_id']}/{label['model_a']}/{label['model_b']}"
    given = rows(file)
    assert len(given) == len(seen) == len(set(seen)) > 40
    assert {label["winner"] for label in given} == {"model_a", "model_b"}, "sides are drawn"
    assert [label["part"] for label in given[:6]] == [TELLING, SAMPLE] * 3


def test_agreement_is_shown_once_there_are_votes(made: Run, tmp_path: Path, proposals: Proposals) -> None:
    """Against a count by hand over the run's own table of battles."""
    file = tmp_path / "labels.jsonl"
    shares = proposals.index.battles.share
    with served(str(made.store), "--label", str(file), folder=tmp_path) as reader:
        assert 'id="agreement"' not in ask(reader).answer.text
        for what in ("1", "2", "tie", "skip", "1", "2", "1", "2"):
            vote(reader, ask(reader), what)
        text = ask(reader).answer.text
    same = compared = 0
    for label in rows(file):
        found = proposals.number_of(Label(**label))
        assert found is not None
        share = shares[found[0]]
        if label["winner"] != "tie" and abs(share - 0.5) > 1e-9:
            compared += 1
            same += (share > 0.5) == (label["winner"] == "model_a")
    assert len(rows(file)) == 7
    assert f"the same answer: {same} of {compared} (" in " ".join(Page(text).text.split())
    assert "1 skipped" in text


def test_a_second_start_goes_on_and_undo_takes_the_last_back(made: Run, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    with served(str(made.store), "--label", "labels.jsonl", folder=tmp_path) as reader:
        before = [ask(reader)]
        for what in ("1", "tie"):
            vote(reader, before[-1], what)
            before.append(ask(reader))
    with served(str(made.store), "--label", "labels.jsonl", folder=tmp_path) as reader:
        asked = ask(reader)
        assert asked.battle == before[2].battle
        assert asked.last == before[1].battle
        assert vote(reader, before[2], "1").status == 403, "the token of the start before"
        assert len(rows(file)) == 2
        assert vote(reader, asked, "undo").headers["location"] == "/label"
        assert vote(reader, asked, "undo").headers["location"] == "/label?late", "it is not the last one any more"
        assert [label["winner"] for label in rows(file)] != ["tie"]
        assert len(rows(file)) == 1
        again = ask(reader)
        assert again.battle == before[1].battle
        vote(reader, again, "2")
        assert len(rows(file)) == 2


def test_two_browsers_store_one_label_for_a_battle(made: Run, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    with served(str(made.store), "--label", str(file), folder=tmp_path) as reader, ThreadPoolExecutor(8) as pool:
        for count in range(1, 4):
            asked = ask(reader)
            answers = list(pool.map(lambda what, asked=asked: vote(reader, asked, what), ["1", "2", "tie"] * 4))
            assert sorted(one.headers["location"] for one in answers) == ["/label", *["/label?late"] * 11]
            assert len(rows(file)) == count
        ended = view(str(made.store), "--label", str(file), folder=tmp_path)
        assert ended.returncode == 2
        assert "another reader writes to this file" in ended.stderr


def view(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tiltyard", "view", *arguments, "--no-browser", "--port", "0"]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=100, check=False)


def test_votes_from_elsewhere_are_refused(made: Run, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    with served(str(made.store), "--label", str(file), folder=tmp_path) as reader:
        asked = ask(reader)
        for wrong in ("", "x", asked.token[:-1], asked.token + "x", "é"):
            assert vote(reader, asked, "1", token=wrong).status == 403
        for what in ("", "3", "model_a"):
            assert vote(reader, asked, what).status == 400
        for name in ("", "0" * 16, "../../etc", "-000000000000001", "z" * 16):
            assert vote(reader, asked, "1", battle=name).headers["location"] == "/label?late"
        body = urlencode({"token": asked.token, "battle": asked.battle, "vote": "1"})
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        for headers in (
            {"Host": "evil.example"},
            {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "document"},
            {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Dest": "document"},
        ):
            assert reader.get("/label", method="POST", body=body, **form, **headers).status == 403
        assert asked.token not in str(asked.answer.headers)
        assert file.read_bytes() == b""
    with served(str(made.store), folder=tmp_path) as reader:
        assert reader.get("/label").status == 404
        assert reader.get("/label", method="POST", body=body, **form).status in (404, 405)


LINE = '{"instruction_id": "a", "model_a": "ada", "model_b": "bob", "winner": "tie"}\n'


@pytest.mark.parametrize("tail", [LINE[:1], LINE[:10], LINE[:40], LINE[:-2], "\0" * 30])
def test_a_torn_line_is_cut_off(made: Run, tmp_path: Path, tail: str) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(LINE + LINE + tail)
    told: list[str] = []
    with LabelFile(file, told.append) as labels:
        assert len(labels.labels) == 2
        labels.add(Label("b", "ada", "bob", "model_a", "sample"))
        assert file.read_text().startswith(LINE + LINE + '{"instruction_id": "b"')
        labels.undo()
        labels.undo()
    assert file.read_text() == LINE
    assert told == [f"{file}: the last line was cut short by a crash and is removed; 2 labels stay"]


def test_a_whole_line_without_its_end_stays(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(LINE + LINE.strip())
    with LabelFile(file, pytest.fail) as labels:
        assert len(labels.labels) == 2
    assert file.read_text() == LINE + LINE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Tournament", "its last line is not a label"),
        ("{}\n" + LINE, "line 1 is not a label"),
        ("[1]\n", "line 1 is"),
    ],
)
def test_a_file_that_holds_other_things_is_left_alone(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        LabelFile(file, pytest.fail)
    assert file.read_text() == text


def test_files_that_cannot_be_used_are_said(made: Run, tmp_path: Path) -> None:
    for name, message in (("labels.csv", "ends in .jsonl"), ("no/labels.jsonl", "cannot be written: No such file")):
        ended = view(str(made.store), "--label", name, folder=tmp_path)
        assert ended.returncode == 2
        assert message in ended.stderr
    assert view("nix", "--label", "labels.jsonl", folder=tmp_path).returncode == 2
    assert not (tmp_path / "labels.jsonl").exists()


def test_a_full_disk_stores_nothing_of_a_vote(tmp_path: Path) -> None:
    """A limit on the file's size fails a write after its first bytes, as a full disk does."""
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tiltyard_jobs.reader.labels import Label, LabelFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with LabelFile(Path(sys.argv[1]), print) as labels:\n"
        "    labels.add(Label('a', 'ada', 'bob', 'tie'))\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "    try: labels.add(Label('b', 'ada', 'bob', 'tie'))\n"
        "    except Exception as error: print(type(error).__name__, error, len(labels.labels))\n"
    )
    file = tmp_path / "labels.jsonl"
    ended = subprocess.run([sys.executable, "-c", script, file], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith(TransientError.__name__)
    assert ended.stdout.endswith("the vote is not stored: File too large 1\n")
    assert [label["instruction_id"] for label in rows(file)] == ["a"]


def test_parts_are_disjoint_and_the_telling_come_by_disagreement(proposals: Proposals) -> None:
    battles, order = proposals.index.battles, list(proposals)
    assert sorted(order) == list(range(len(proposals)))
    parts = {part: [one for one in order if proposals.part(one) == part] for part in (SAMPLE, TELLING)}
    assert min(map(len, parts.values())) > 10
    rank = [
        (-battles.split[n], -battles.flips[n], abs(battles.share[n] - 0.5)) for n in proposals.numbers[parts[TELLING]]
    ]
    assert rank == pytest.approx(sorted(rank), abs=1e-5)
    assert all(proposals.find(proposals.name(one)) == one for one in order)


def test_a_run_that_has_not_begun_proposes_nothing(made: Run, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    task = ReadTask(action="View", store=StoreRef(uri=store.uri), run=RUN, recipe=made.recipe)
    nothing = Proposals(Session(store, task).index())
    assert (len(nothing), list(nothing), nothing.find("0" * 16), nothing.place_of(0)) == (0, [], None, None)
    label = Label("a", "ada", "bob", "tie")
    assert agreement(nothing, [label]) == (0, 1, 0, 0)


def test_calibrate_takes_the_file(made: Run, tmp_path: Path) -> None:
    file, found, task = tmp_path / "labels.jsonl", tmp_path / "found.json", tmp_path / "task.json"
    with served(str(made.store), "--label", str(file), folder=tmp_path) as reader:
        for number in range(20):
            vote(reader, ask(reader), "12"[number % 2])
    ratings = made.world.rate()

    def calibrated(part: str | None) -> int:
        store = StoreRef(uri=made.store.as_uri())
        given = CalibrateTask(
            tournament="t", store=store, ratings=ratings, labels=file.as_uri(), part=part, file=str(found)
        )
        task.write_bytes(given.canonical())
        return main(["calibrate", "--task", str(task)], environment={"TILTYARD_SUMMARY": str(tmp_path / "summary")})

    assert calibrated(None) == 0
    assert Calibration.model_validate_json(found.read_bytes()).labels == 20
    assert calibrated(SAMPLE) == 0
    assert Calibration.model_validate_json(found.read_bytes()).labels == 10
    assert calibrated("nix") == 2
    assert "no label has 'nix' in its column 'part'" in (tmp_path / "summary").read_text()


def test_a_very_long_answer_is_a_blind_link_away(made: Run, tmp_path: Path, proposals: Proposals) -> None:
    place = next(
        one
        for one in proposals
        if proposals.players(one)[0] == made.world.id_of("ada", 2) and "bob" in proposals.players(one)
    )
    file = tmp_path / "labels.jsonl"
    keys = [proposals.players(one) for one in proposals if one != place]
    file.write_text("".join(json.dumps(Label(*key, "tie")._asdict()) + "\n" for key in keys))
    with served(str(made.store), "--label", str(file), folder=tmp_path) as reader:
        asked = ask(reader)
        assert asked.battle == proposals.name(place)
        (link,) = [link for link in Page(asked.answer.text).links() if link.endswith(("/1", "/2"))]
        assert reader.get(link).text == f"{LONG} the end"
        vote(reader, asked, "1")
        assert "No battle is left." in reader.get("/label").text
        assert RUN in reader.get("/label").text
