"""The account of a run's cost."""

from __future__ import annotations

from pathlib import Path

from tiltyard.local.ledger import (
    Held,
    Ledger,
    load_ledger,
    measured_rates,
    place_of,
    run_folder,
    uri_of,
    write_atomically,
)
from tiltyard_jobs.contracts.summary import Standing, Summary
from tiltyard_jobs.contracts.tasks import StoreRef

STANDING = Standing(name="ada", rating=1100.0)


def done(**fields: object) -> Summary:
    return Summary.model_validate({"exit_code": 0, "requests": 10, "prompt_tokens": 100, "seconds": 1.5, **fields})


def test_costs_add_up_by_stage_and_model() -> None:
    ledger = Ledger(run="r", place="p")
    for stage, model in (("mine", "ada"), ("mine", "ada"), ("mine", "bob"), ("answer", "ada")):
        ledger.add(stage, model, done())
    ledger.add("rate", None, done(leaderboard=(STANDING,), outputs={"report": "file:///r"}))
    assert [(row.stage, row.model, row.requests, row.prompt_tokens, row.seconds) for row in ledger.table()] == [
        ("answer", "ada", 10, 100, 1.5),
        ("mine", "ada", 20, 200, 3.0),
        ("mine", "bob", 10, 100, 1.5),
    ]
    assert ledger.leaderboard == (STANDING,)
    assert ledger.outputs == {"report": "file:///r"}


def test_a_shard_that_was_stopped_costs_and_makes_nothing() -> None:
    ledger = Ledger(run="r", place="p")
    ledger.add("judge", "ada", done(exit_code=143, voids={"Undecided": 3}))
    ledger.add("judge", "ada", done(voids={"Undecided": 4}))
    assert ledger.table()[0].requests == 20
    assert ledger.voids == {"judge": 4}


def test_it_is_kept_over_interruptions_of_its_own_run_in_its_own_place_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    new = Ledger(run="r", place="p")
    assert load_ledger(path, "r", "p") == new
    ledger = Ledger(run="r", place="p")
    ledger.add("mine", "ada", done())
    path.write_text(ledger.model_dump_json())
    assert load_ledger(path, "r", "p") == ledger
    for run, place in (("another", "p"), ("r", "another")):
        assert load_ledger(path, run, place) == Ledger(run=run, place=place)
    path.write_text("{")
    assert load_ledger(path, "r", "p") == new


def test_two_servers_with_a_bucket_of_the_same_name_are_two_places() -> None:
    stores = [StoreRef(uri="s3://b", endpoint=endpoint) for endpoint in (None, "https://one", "https://two")]
    places = [place_of(store) for store in stores]
    assert len(set(places)) == 3
    assert {uri_of(place) for place in places} == {"s3://b"}


def test_seconds_per_token_are_those_of_other_runs(tmp_path: Path) -> None:
    for run, seconds, tokens in (("first", 10.0, 100), ("second", 20.0, 500), ("this", 999.0, 1)):
        ledger = Ledger(run=run, place="p", held={"ada": Held(version="v", seconds=seconds)})
        ledger.add("answer", "ada", done(prompt_tokens=tokens, completion_tokens=0))
        ledger.add("answer", "an-endpoint", done())
        write_atomically(run_folder(tmp_path, run) / "ledger.json", ledger.model_dump_json())
    write_atomically(run_folder(tmp_path, "idle") / "ledger.json", Ledger(run="idle", place="p").model_dump_json())
    write_atomically(run_folder(tmp_path, "broken") / "ledger.json", "{")
    assert measured_rates(tmp_path, but="this") == {"v": 30 / 600}
    assert measured_rates(tmp_path) == {"v": 1029 / 601}
    assert measured_rates(tmp_path / "none", but="this") == {}
