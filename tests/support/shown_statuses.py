"""Statuses of runs, as the command line shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from tiltyard.api import (
    Condition,
    ModelStatus,
    RecordCounts,
    ShardCounts,
    StageStatus,
    TournamentStatus,
    UsageStatus,
    VoidCount,
)


def status(phase: str, progress: str, *, ended: str | None = None, message: str = "") -> TournamentStatus:
    """A status of one stage; it has ended where a condition is named."""
    conditions = [
        Condition(
            type=kind,
            status="True" if kind == ended else "False",
            reason=phase,
            message=message,
            last_transition_time=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for kind in ("Complete", "Failed", "Suspended")
    ]
    stage = StageStatus(name="Mining", state="Running", shards=ShardCounts(total=4, succeeded=1), void=0)
    return TournamentStatus(
        phase=phase, progress=progress, run="0123456789ab", stages=(stage,), conditions=tuple(conditions)
    )


def at_work() -> TournamentStatus:
    """A run that judges."""
    stages = (
        StageStatus(
            name="Judging",
            state="Running",
            shards=ShardCounts(total=8, succeeded=1, active=2),
            records=RecordCounts(total=4000, done=812),
            records_per_second="35.2",
            asking=32,
            void=3,
            voids=(VoidCount(reason="Truncated", records=3),),
        ),
    )
    models = (ModelStatus(name="ada", state="Ready", activity="Busy", asking=32, queued=3156, url="http://a", loads=1),)
    usage = UsageStatus(completion_tokens_per_second="1210")
    eta = datetime(2026, 1, 1, 10, tzinfo=UTC)
    more = {"stages": stages, "models": models, "usage": usage, "records": "812/4000", "eta": eta}
    return status("Judging", "61%").model_copy(update=more)
