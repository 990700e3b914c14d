"""The account of what shards have cost."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tiltyard.plan.costs import Costs
from tiltyard_jobs.contracts.summary import Standing, Summary
from tiltyard_jobs.contracts.tasks import LedgerRow

BOARD = (Standing(name="a", rating=1000.0),)


def summary(exit_code: int = 0, scale: int = 1, **fields: object) -> Summary:
    return Summary.model_validate(
        {
            "exit_code": exit_code, "requests": scale, "retries": 2 * scale, "prompt_tokens": 3 * scale,
            "cached_tokens": 4 * scale, "completion_tokens": 5 * scale, "seconds": 6.0 * scale, **fields,
        }
    )  # fmt: skip


def row(stage: str, model: str, scale: int) -> LedgerRow:
    return LedgerRow.model_validate(
        {
            "stage": stage, "model": model, "requests": scale, "retries": 2 * scale, "prompt_tokens": 3 * scale,
            "cached_tokens": 4 * scale, "completion_tokens": 5 * scale, "seconds": 6.0 * scale,
        }
    )  # fmt: skip


def test_a_process_that_failed_cost_as_much_and_made_nothing() -> None:
    costs = Costs()
    told: dict[str, Any] = {
        "voids": {"Unavailable": 2, "Malformed": 1},
        "leaderboard": BOARD,
        "notes": ("m0 did badly",),
        "outputs": {"report": "r"},
    }
    costs.add("answer", "m0", summary(3, **told))
    assert (costs.voids, costs.leaderboard, costs.notes, costs.outputs) == ({}, (), (), {})
    costs.add("answer", "m0", summary(0, **told))
    assert (costs.voids, costs.leaderboard, costs.outputs) == ({"answer": 3}, BOARD, {"report": "r"})
    assert costs.notes == ("m0 did badly",)
    assert costs.table() == (row("answer", "m0", 2),)


def test_what_was_known_stays_where_a_later_process_says_nothing_of_it() -> None:
    costs = Costs()
    costs.add("rate", None, summary(leaderboard=BOARD, notes=("n",), outputs={"manifest": "m"}))
    costs.add("report", None, summary(outputs={"report": "r"}))
    assert (costs.leaderboard, costs.outputs) == (BOARD, {"manifest": "m", "report": "r"})
    assert costs.table() == ()
    costs.merge(Costs(outputs={"model": "t"}))
    assert (costs.leaderboard, costs.outputs) == (BOARD, {"manifest": "m", "report": "r", "model": "t"})
    other = (Standing(name="b", rating=1.0),)
    costs.merge(Costs(leaderboard=other))
    assert (costs.leaderboard, costs.notes) == (other, ("n",))
    costs.merge(Costs(notes=("o",)))
    assert costs.notes == ("o",)


ENDED = st.lists(
    st.tuples(st.sampled_from(["mine", "answer"]), st.sampled_from(["m0", "m1"]), st.integers(1, 9)), max_size=8
)


@given(ENDED, ENDED)
def test_accounts_that_are_merged_are_as_one(
    first: list[tuple[str, str, int]], second: list[tuple[str, str, int]]
) -> None:
    one, other, together = Costs(), Costs(), Costs()
    for costs, ended in ((one, first), (other, second), (together, [*first, *second])):
        for stage, model, scale in ended:
            costs.add(stage, model, summary(scale=scale, voids={"Unavailable": scale}))
    one.merge(other)
    assert one.table() == together.table()
    assert one.voids == together.voids
    names = [f"{line.stage}/{line.model}" for line in together.table()]
    assert names == sorted(set(names))


def test_a_warning_is_kept_once_whoever_gives_it() -> None:
    costs = Costs()
    costs.add("judge", "m0", summary(warnings=("goes by place",)))
    costs.add("judge", "m0", summary(warnings=("goes by place", "cannot tell")))
    costs.merge(Costs(warnings=("cannot tell", "third")))
    assert costs.warnings == ("goes by place", "cannot tell", "third")


def test_records_are_those_of_complete_shards_and_fresh_ones_of_all_attempts() -> None:
    costs = Costs()
    told: dict[str, Any] = {"rows": 7, "reused": 3, "fresh": 5, "voids": {"Empty": 1, "Truncated": 1}}
    costs.add("answer", "m0", summary(3, **told))
    assert (costs.records, costs.fresh, costs.reasons) == ({}, {"answer": 5}, {})
    costs.add("answer", "m0", summary(0, **told))
    costs.merge(costs.model_copy(deep=True))
    assert (costs.records, costs.fresh) == ({"answer": 20}, {"answer": 20})
    assert costs.reasons == {"answer/Empty": 2, "answer/Truncated": 2}
