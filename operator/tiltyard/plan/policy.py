"""From the manifest to how it is to be run."""

from __future__ import annotations

from tiltyard.api import Tournament, parse_quantity
from tiltyard.plan.planner import Policy
from tiltyard.plan.schedule import Room


def policy_of(tournament: Tournament) -> Policy:
    """What the manifest says of how to run."""
    serving = tournament.spec.serving
    budget = tuple((name, parse_quantity(limit)) for name, limit in sorted(serving.budget.items()))
    return Policy(
        room=Room(serving.max_active, budget),
        suspend=tournament.spec.suspend,
        active_deadline=tournament.spec.active_deadline_seconds,
    )
