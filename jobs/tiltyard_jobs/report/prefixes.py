"""With what instructions were mined: each competitor's prefix, its ends, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from tiltyard_jobs.contracts.recipes import MineRecipe, StagedArtifact
from tiltyard_jobs.report.formats import visible
from tiltyard_jobs.shard.artifacts import Artifacts

_LONGEST = 400  # characters of a prefix that are shown: a system message may be in it


class PrefixRow(NamedTuple):
    """One prefix of a competitor; texts as JSON writes them, so that line breaks show."""

    attacker: str
    prefix: str
    source: str
    stops: str
    stop_source: str


def read_prefixes(artifacts: Artifacts, made_of: Sequence[StagedArtifact]) -> tuple[PrefixRow, ...]:
    """Those of each competitor's first part: all parts are mined with the same.

    Args:
        artifacts: of the run.
        made_of: what it is made of; the role of what is mined is `mine/NAME`.
    """
    return tuple(
        _row(one.role.partition("/")[2], prefix)
        for one in made_of
        if one.ref.stage == MineRecipe.STAGE
        for file in [artifacts.require(one.ref)[0].files.get("prefixes")]
        if file is not None
        for prefix in json.loads(artifacts.fetch(file).read_bytes())
    )


def _row(attacker: str, prefix: dict[str, Any]) -> PrefixRow:
    def shown(text: str) -> str:
        return visible(json.dumps(text, ensure_ascii=False), _LONGEST)

    return PrefixRow(
        attacker=visible(attacker),
        prefix=shown(prefix["prefix"]),
        source=visible(prefix["source"]),
        stops=" ".join(map(shown, prefix["stops"])) or "none: where the model ends its text",
        stop_source=visible(prefix["stopSource"]),
    )
