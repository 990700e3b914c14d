from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from tiltyard.api import (
    Curation,
    Instructions,
    Mine,
    ModelSource,
    ObjectMeta,
    Participant,
    Rating,
    Tournament,
    TournamentSpec,
    load_tournament,
)

SAMPLES = Path(__file__).parent / "samples"


def players(*names: str) -> tuple[Participant, ...]:
    return tuple(Participant(name=name, model=ModelSource(uri=f"sim://{name}")) for name in names)


def spec(*names: str) -> TournamentSpec:
    return TournamentSpec(competitors=players(*names), instructions=Instructions(mine=Mine()))


def test_the_defaults_are_the_documented_ones() -> None:
    # This file is the design's own manifest, cut to what has a default.
    expected = yaml.safe_load((SAMPLES / "defaults.yaml").read_text())
    tournament = load_tournament(SAMPLES / "valid" / "minimal.yaml")
    assert tournament.model_dump(mode="json", exclude_none=True)["spec"] == expected


def test_tournaments_are_built_in_python_too() -> None:
    built = Tournament(metadata=ObjectMeta(name="t"), spec=spec("a", "b", "c"))
    assert built.spec.instructions.mine == Mine()
    assert built.spec.rating.alpha == Decimal("0.7")
    assert Rating(alpha=Decimal("0.25")).alpha == Decimal("0.25")


def test_a_model_in_hand_is_a_valid_one() -> None:
    with pytest.raises(ValidationError, match="must name a judge"):
        spec("a", "b")
    with pytest.raises(ValidationError, match="must be unique among competitors and judges"):
        spec("a", "a", "b")
    with pytest.raises(ValidationError, match='from "0" to "1"'):
        Rating(alpha=Decimal("1.1"))
    with pytest.raises(ValidationError):
        Rating(k="40")  # type: ignore[arg-type]


def test_models_are_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Curation().held_out = ()  # type: ignore[misc]


def test_equal_fractions_are_written_alike() -> None:
    assert Rating(alpha=Decimal("0.70")).model_dump_json() == Rating(alpha=Decimal("7e-1")).model_dump_json()
    assert '"alpha":"0.0000001"' in Rating(alpha=Decimal("1e-7")).model_dump_json()
    assert '"alpha":"0"' in Rating(alpha=Decimal("0.00")).model_dump_json()
