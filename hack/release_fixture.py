"""A release's fixture: a tournament of simulated experts, as this version leaves it behind: complete, and half-way.

    .venv/bin/python hack/release_fixture.py    # makes tests/fixtures/releases/VERSION again

Later versions are tested with it: `tests/support/releases.py` says what each file is. Made twice, it has the same
bytes: what a clock has measured is set to fixed values before the report is written.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tiltyard.api import TournamentStatus, load_tournament, tournament_from_object
from tiltyard.observe.kinds import JOBS
from tiltyard.plan.build import build_graph
from tiltyard.plan.costs import Costs
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.observed import JobPhase, JobSeen, ModelPhase, ModelSeen, Observed, PreflightPhase
from tiltyard.plan.planner import plan
from tiltyard.plan.policy import policy_of
from tiltyard.render.children import in_order, prepare
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import PREFLIGHT
from tiltyard.render.names import BUNDLE, RESULT, STARTED
from tiltyard.status.build import build_status
from tiltyard_jobs.contracts.summary import Summary, pack_bits
from tiltyard_jobs.contracts.tasks import LedgerRow
from version import ROOT, version

PLACE = "s3://releases/store"  # where it says that its store is
# On a cluster, half-way: tests have these, since the names of objects follow from them.
NAMESPACE = f"release-{version().replace('.', '-')}"
ENDPOINT = "http://127.0.0.1:29077"
KEY = "bucket-key"
MADE, AT_WORK = ("probe/charles", "mine/ada"), "mine/blaise"
TIME = "2026-01-01T00:00:00Z"
SECONDS = 60
MANIFEST: dict[str, Any] = {
    "apiVersion": "tiltyard.dev/v1alpha1",
    "kind": "Tournament",
    "metadata": {"name": "release"},
    "spec": {
        "competitors": [
            {"name": "ada", "model": {"uri": "sim://ada?skill=0.82", "license": "apache-2.0"}},
            {"name": "blaise", "model": {"uri": "sim://blaise?skill=0.66", "license": "apache-2.0"}},
        ],
        "judges": [{"name": "charles", "model": {"uri": "sim://charles?skill=0.9"}}],
        "instructions": {"mine": {"perCompetitor": 12}},
        "curation": {"decontaminate": [], "diversity": {"perCompetitor": 4}},
        "jobs": {"shardSize": 12},
        "output": {"s3": {"uri": PLACE}},
    },
}


def timeless(value: Any, name: str = "") -> Any:
    """A document whose measured times are all the same."""
    if isinstance(value, dict):
        return {key: timeless(entry, name if name == "load_seconds" else key) for key, entry in value.items()}
    if isinstance(value, list):
        return [timeless(entry) for entry in value]
    if name == "lastTransitionTime":
        return TIME
    return SECONDS if "seconds" in name.lower() and value is not None else value


def run(folder: Path) -> Path:
    """Run the tournament in a folder; returns the folder of the run's own state."""
    manifest = folder / "tournament.yaml"
    manifest.write_text(yaml.safe_dump(MANIFEST))
    places = [f"--out={folder / 'store'}", f"--state={folder / 'state'}"]
    command = [sys.executable, "-m", "tiltyard", "run", str(manifest), *places, "--progress=none"]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = (folder / "state" / "runs").iterdir()
    return found


def freeze(file: Path, store: Path, place: str) -> Any:
    """Take the times and the store's place out of a document."""
    document = timeless(json.loads(file.read_text()))
    text = json.dumps(document, indent=1, sort_keys=True).replace(store.as_uri(), place) + "\n"
    file.write_text(text)
    return json.loads(text)


def recipes_of(graph: Graph) -> dict[str, dict[str, Any]]:
    """By bundle and key: the recipes of all that a tournament makes."""
    return {
        bundle.name: {recipe.ref.key: json.loads(recipe.canonical(in_key=True)) for recipe in bundle.recipes}
        for bundle in graph.bundles
    }


def result_of(bundle: Bundle, store: Path, account: dict[str, Any]) -> Costs:
    """What the operator notes at the Job that has made a bundle.

    Args:
        bundle: all of it is in the store.
        store: with its seals.
        account: of the run that made it.
    """
    name = f"{bundle.stage}/{bundle.model}"
    seals = [store / bundle.stage / ref.key / f"{shard:05}.json" for ref in bundle.makes for shard in range(ref.shards)]
    records = Counter({bundle.stage: sum(json.loads(seal.read_text())["rows"] for seal in seals)})
    rows = {name: LedgerRow(**account["rows"][name])} if name in account["rows"] else {}
    return Costs(rows=rows, records=records, fresh=records)


def half_way(store: Path, account: dict[str, Any]) -> dict[str, Any]:
    """On a cluster: the Tournament and its children while `AT_WORK` is made, `MADE` is there, and nothing else.

    Args:
        store: with all of its artifacts.
        account: of the run that made them.
    """
    s3 = {"uri": PLACE, "endpoint": ENDPOINT, "secretRef": {"name": KEY}}
    document = {
        **MANIFEST,
        "metadata": {**MANIFEST["metadata"], "namespace": NAMESPACE, "generation": 1},
        "spec": {**MANIFEST["spec"], "output": {"s3": s3}},
    }
    tournament = tournament_from_object(document)
    settings = ClusterSettings(worker_image=f"tiltyard/worker:{version()}")
    prepared = prepare(tournament, settings, "the release's Tournament")
    graph = prepared.graph
    nothing = Summary(exit_code=0, done=pack_bits([False for ref in graph.artifacts for _ in range(ref.shards)]))
    results = {PREFLIGHT: nothing.to_message()}
    for name in MADE:
        results[name] = result_of(graph.by_name[name], store, account).model_dump_json(exclude_defaults=True)
    at_work = {f"bundle {name}" for name in (*MADE, AT_WORK)}
    objects = []
    for purpose, body in in_order(prepared, settings):
        if purpose == PREFLIGHT or purpose.startswith("model ") or purpose in at_work:
            notes = body["metadata"].setdefault("annotations", {})
            if body["kind"] == JOBS.kind and (result := results.get(notes[BUNDLE])) is not None:
                notes[RESULT] = result
            if STARTED in notes:
                notes[STARTED] = TIME
            objects.append(body)
    observed = Observed(
        PreflightPhase.PASSED,
        done={ref.key: frozenset(range(ref.shards)) for name in MADE for ref in graph.by_name[name].makes},
        jobs={AT_WORK: JobSeen(JobPhase.ACTIVE, graph.by_name[AT_WORK].version, active=1)},
        models={model.name: ModelSeen(ModelPhase.READY, model.version, loads=1) for model in graph.models},
    )
    decided = plan(graph, policy_of(tournament), observed)
    now = datetime.fromisoformat(TIME).timestamp()
    status = build_status(tournament, graph, observed, decided, now)
    written = status.model_dump(mode="json", exclude_none=True)
    return {"tournament": {**document, "status": written}, "objects": objects}


def make(into: Path) -> None:
    """Make the fixture in a folder that is replaced."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        store, account = folder / "store", run(folder)
        # The report shows what the run took: it is written again, by an account without a clock.
        freeze(account / "ledger.json", store, store.as_uri())
        for made in (store / "report", store / "runs"):
            shutil.rmtree(made)
        run(folder)
        ledger = freeze(account / "ledger.json", store, PLACE)
        status = freeze(account / "status.json", store, PLACE)
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(store, into / "store")
        shutil.copytree(account, into / "state" / "runs" / account.name)
    for condition in status["conditions"]:
        condition["observedGeneration"] = 1
    read = TournamentStatus.model_validate_json(json.dumps({**status, "observedGeneration": 1}))
    document = {
        **MANIFEST,
        "metadata": {**MANIFEST["metadata"], "generation": 1},
        "status": read.model_dump(mode="json", exclude_none=True),
    }
    recipes = recipes_of(build_graph(load_tournament(yaml.safe_dump(MANIFEST))))
    half = half_way(into / "store", ledger)
    for file, content in (("tournament.json", document), ("plan.json", recipes), ("half-way.json", half)):
        (into / file).write_text(json.dumps(content, indent=1) + "\n")


def main() -> int:
    """Make the fixture of the version in pyproject.toml."""
    into = ROOT / "tests" / "fixtures" / "releases" / version()
    make(into)
    files = [file for file in into.rglob("*") if file.is_file()]
    print(f"{into.relative_to(ROOT)}: {len(files)} files, {sum(file.stat().st_size for file in files) // 1000} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
