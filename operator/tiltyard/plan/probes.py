"""Trying models before what they do is paid for: which bundle tries its model with what, and who waits for it.

A model's first bundle tries it with all that it will be asked for. That is early enough for a model that writes
instructions, grades or answers; one that only judges would be tried when all answers are there. So it has a bundle of
its own, `probe/JUDGE`, which grades and answers wait for. The reference stands in `after`: it changes when they start,
not what they make, so no key of theirs depends on who judges.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tiltyard.plan.graph import Bundle, bundle
from tiltyard_jobs.contracts.recipe import Recipe
from tiltyard_jobs.contracts.recipes import AnswerRecipe, GradeRecipe, JudgeRecipe, MineRecipe, ProbeRecipe

PROBED = (MineRecipe.STAGE, GradeRecipe.STAGE, AnswerRecipe.STAGE, JudgeRecipe.STAGE)
"""Stages of which a few questions of our own tell whether a model can do what they ask."""
PAID = (GradeRecipe.STAGE, AnswerRecipe.STAGE)
"""Stages that wait until every judge is known to be of use; mining goes on beside that."""


def with_probes(bundles: tuple[Bundle, ...], served: Collection[str]) -> tuple[Bundle, ...]:
    """These bundles, those that try judges among them, each with what it tries its model with.

    Args:
        bundles: in plan order.
        served: names of the models that Tiltyard starts; endpoints are tried in preflight.
    """
    return _with_questions(_with_judges_first(bundles, served))


def _with_judges_first(bundles: tuple[Bundle, ...], served: Collection[str]) -> tuple[Bundle, ...]:
    """Those that try served models that only judge, before any model is asked for anything."""
    paid = [one for one in bundles if one.model is not None and one.stage in PAID]
    firsts: dict[str, Bundle] = {}
    for one in bundles:
        if one.model is not None:
            firsts.setdefault(one.model, one)
    judges = {name: one.recipes[0] for name, one in firsts.items() if name in served}
    tried = {name: ProbeRecipe.before(one) for name, one in judges.items() if isinstance(one, JudgeRecipe)}
    if not paid or not tried:
        return bundles
    first = next(iter(firsts.values()))  # what the first model waits for besides its inputs, no model is loaded before
    probes = tuple(bundle(recipe, model=name, after=first.after) for name, recipe in tried.items())
    refs = tuple(ref for probe in probes for ref in probe.makes)
    waiting = {
        one.name: replace(one, after=(*one.after, *refs), needs=one.needs | {ref.key for ref in refs}) for one in paid
    }
    place = bundles.index(first)
    return (*bundles[:place], *probes, *(waiting.get(one.name, one) for one in bundles[place:]))


def _with_questions(bundles: tuple[Bundle, ...]) -> tuple[Bundle, ...]:
    """Each model's first bundle tries it with all that it will be asked for, each later one with its own stage alone.

    The latter is for a run that finds the former made already, and for bundles that begin side by side.
    """
    asked: dict[str, dict[str, Recipe]] = {}
    for one in bundles:
        if one.model is not None:
            by_stage = asked.setdefault(one.model, {})
            if one.stage in PROBED:
                by_stage.setdefault(one.stage, one.recipes[0])
    told, seen = [], set[str]()
    for one in bundles:
        if one.model is not None:
            by_stage = asked[one.model]
            if one.model not in seen:
                seen.add(one.model)
                one = replace(one, probes=tuple(by_stage.values()))
            elif one.stage in PROBED:
                one = replace(one, probes=one.recipes[:1])
        told.append(one)
    return tuple(told)
