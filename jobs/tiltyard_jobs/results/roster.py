"""Who takes part, by number: players and judges in the manifest's order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.contracts.recipes import Lineup, PlayerRecipe
from tiltyard_jobs.rating.report_card import Families


@dataclass(frozen=True)
class Roster:
    """Players and judges.

    Attributes:
        players: in the manifest's order, which numbers them.
        judges: likewise; the players themselves where there is no neutral judge.
    """

    players: tuple[PlayerRecipe, ...]
    judges: tuple[PlayerRecipe, ...]

    @classmethod
    def of(cls, lineup: Lineup) -> Roster:
        """The roster of a lineup."""
        return cls(lineup.players, lineup.judges or lineup.players)

    @cached_property
    def player(self) -> dict[str, int]:
        """Numbers of the players by name."""
        return {player.name: number for number, player in enumerate(self.players)}

    @cached_property
    def judge(self) -> dict[str, int]:
        """Numbers of the judges by name."""
        return {judge.name: number for number, judge in enumerate(self.judges)}

    def families(self) -> Families:
        """Families by number; -1 where none is known."""
        names = sorted({one.family for one in (*self.players, *self.judges) if one.family})
        number = {name: index for index, name in enumerate(names)}

        def numbered(group: Iterable[PlayerRecipe]) -> NDArray[np.int64]:
            return np.array([number.get(one.family, -1) for one in group], dtype=np.int64)

        return Families(numbered(self.players), numbered(self.judges))
