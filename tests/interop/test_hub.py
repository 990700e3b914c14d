"""`tiltyard export --push-to-hub` with the hub's own client, against a server that stands in for the hub."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("huggingface_hub", reason="needs the interpreter with other people's tools")

from support.exported_run import RUN, lay_out, rows
from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.solo_tasks import ExportTask
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.results.documents import Manifest, ManifestFile

ROOT = Path(__file__).resolve().parents[2]
CARD = "---\nlicense: [mit]\nconfigs: [{config_name: sft, data_files: data/sft.parquet}]\n---\n# test\n"
TOKEN = "hf_0123456789"


class Hub(ThreadingHTTPServer):
    """Takes one commit; `cards` that lack a licence are refused, as the hub refuses what its validator finds."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.created: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()
        self.refuse = 0


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        hub, path = self.server, self.path.split("?")[0]
        hub.asked.append(path)
        if path == "/api/validate-yaml":
            good = "license:" in json.loads(body)["content"]
            return self.reply(200 if good else 400, {"warnings": [], "errors": []} if good else {"error": "no license"})
        hub.tokens.add(self.headers.get("Authorization"))
        if hub.refuse:
            return self.reply(hub.refuse, {"error": "you may not"})
        if path == "/api/repos/create":
            hub.created.append(json.loads(body))
            return self.reply(200, {"url": f"http://{self.headers['Host']}/datasets/org/name"})
        if path.endswith("/preupload/main"):
            given = json.loads(body)["files"]
            files = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in given]
            return self.reply(200, {"files": files})
        if path.endswith("/commit/main"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    hub.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"http://{self.headers['Host']}/datasets/org/name/commit/{'0' * 40}"
            return self.reply(200, {"success": True, "commitOid": "0" * 40, "commitUrl": url})
        return self.reply(404, {"error": path})

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.reply(404, {"error": "not found"})

    def reply(self, status: int, document: object) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run_with_card(folder: Path, card: str) -> Path:
    lay_out(folder, rows())
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    (folder / "README.md").write_text(card)
    described = ManifestFile(path="README.md", sha256=digest(card.encode()), size=len(card.encode()))
    whole = manifest.model_copy(update={"files": (described, *manifest.files)})
    (folder / "manifest.json").write_bytes(whole.canonical())
    return folder


def push(hub: Hub, run: Path, root: Path, *, token: str | None = TOKEN) -> dict[str, Any]:
    task = ExportTask(tournament="test", store=StoreRef(uri=run.as_uri()), run="", folder="", hub="org/name")
    (root / "task.json").write_bytes(task.canonical())
    environment = {name: value for name, value in os.environ.items() if "OFFLINE" not in name and name != "HF_TOKEN"}
    environment |= {
        "PYTHONPATH": str(ROOT / "jobs"),
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}",
        "TILTYARD_SUMMARY": str(root / "summary.json"),
        **({"HF_TOKEN": token} if token is not None else {}),
    }
    line = [sys.executable, "-m", "tiltyard_jobs", "export", "--task", str(root / "task.json")]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert TOKEN not in done.stdout + done.stderr
    summary: dict[str, Any] = json.loads((root / "summary.json").read_text())
    assert summary["exitCode"] == done.returncode, done.stderr
    return summary


def test_a_run_becomes_a_private_dataset_in_one_commit(hub: Hub, tmp_path: Path) -> None:
    run = run_with_card(tmp_path / "run", CARD)
    summary = push(hub, run, tmp_path)
    assert summary["exitCode"] == 0, summary
    assert summary["outputs"]["dataset"].endswith("/datasets/org/name")
    there = {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert hub.files == there
    assert hub.created[0]["type"] == "dataset"
    assert hub.created[0].get("visibility", hub.created[0].get("private")) in ("private", True)
    assert hub.asked.index("/api/validate-yaml") < hub.asked.index("/api/repos/create")
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert not any(TOKEN.encode() in data for data in hub.files.values())
    assert RUN in json.loads(hub.files["manifest.json"])["run"]


def test_a_card_that_the_hub_refuses_is_not_uploaded(hub: Hub, tmp_path: Path) -> None:
    run = run_with_card(tmp_path / "run", "---\nconfigs: []\n---\n# test\n")
    summary = push(hub, run, tmp_path)
    assert summary["exitCode"] == 2
    assert summary["message"].startswith("--push-to-hub: the hub refuses the dataset card: ")
    assert hub.created == []


def test_without_a_token_or_the_right_nothing_is_uploaded(hub: Hub, tmp_path: Path) -> None:
    run = run_with_card(tmp_path / "run", CARD)
    summary = push(hub, run, tmp_path, token=None)
    assert (summary["exitCode"], hub.asked) == (2, [])
    assert "HF_TOKEN" in summary["message"]
    hub.refuse = 403
    summary = push(hub, run, tmp_path)
    assert summary["exitCode"] == 2
    assert "HTTP 403" in summary["message"]
    assert hub.files == {}
