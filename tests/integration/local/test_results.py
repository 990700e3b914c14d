"""What a run leaves behind: the same bytes wherever it goes and however often it is run."""

from __future__ import annotations

from pathlib import Path

from support.local_runs import LocalRun, contents
from support.manifests import manifest
from support.s3server import S3Server
from tiltyard_jobs.store import open_store


def small(**spec: object) -> dict[str, object]:
    """Two players and a judge, all stages but none of much work."""
    curation = {"decontaminate": [], "diversity": {"perCompetitor": 6}}
    jobs = {"shardSize": 8, "parallelism": 2}
    return manifest(2, judges=1, per_competitor=20, **{"curation": curation, "jobs": jobs, **spec})


def test_a_folder_and_a_bucket_hold_the_same_bytes_and_so_does_a_second_run(
    tmp_path: Path, server: S3Server, credentials: S3Server, s3_uri: str
) -> None:
    first = LocalRun(tmp_path / "first", small())
    first.complete()
    expected = contents(open_store((tmp_path / "first" / "out").as_uri()))
    assert {key.partition("/")[0] for key in expected} >= {"mine", "judge", "rate", "dataset", "report", "runs"}

    second = LocalRun(tmp_path / "second", small())
    second.complete()
    assert contents(open_store((tmp_path / "second" / "out").as_uri())) == expected

    output = {"s3": {"uri": s3_uri, "endpoint": server.endpoint}}
    bucket = LocalRun(tmp_path / "bucket", small(output=output), out=None, env=server.env)
    finished = bucket.complete()
    assert f"{s3_uri}/runs/" in finished.out
    store = open_store(s3_uri, endpoint=server.endpoint)
    assert contents(store) == expected
    store.close()


def test_a_run_in_a_finished_place_starts_no_model_and_makes_nothing(tmp_path: Path) -> None:
    run = LocalRun(tmp_path, small())
    before = run.complete()
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert run.models_started() == {"m0", "m1", "j0"}

    run.state = tmp_path / "another"
    again = run.complete()
    assert again.out == before.out
    assert run.models_started() == set()
    assert len(run.pids()) == 1  # preflight
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()} == made
