"""Inputs of the report as a real tournament would give them, of any size.

Numbers follow one latent skill for each player, so that the tables agree with one another; nothing is rated here.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence

from tiltyard_jobs.contracts.tasks import LedgerRow
from tiltyard_jobs.evaluation.intervals import share
from tiltyard_jobs.report.formats import excerpt
from tiltyard_jobs.report.inputs import ReportInput, Sample, StageCount
from tiltyard_jobs.report.prefixes import PrefixRow
from tiltyard_jobs.results.documents import (
    BenchmarkScore,
    CurvePoint,
    DataSummary,
    Estimate,
    Funnel,
    Gain,
    JudgeReportCard,
    ManifestFile,
    Overlap,
    PlayerStanding,
    Standings,
)

FIVE = ("qwen", "athene", "llama", "qwq", "deepseek")
TWELVE = (
    "qwen2.5-coder-32b-instruct-awq",
    "llama-3.3-70b-instruct-fp8-dynamic",
    "athene-v2-chat",
    "deepseek-coder-v2-lite-instruct",
    "qwq-32b-preview",
    "mistral-small-24b-instruct-2501",
    "phi-4-multimodal-instruct",
    "granite-3.3-8b-code-instruct",
    "starcoder2-15b-instruct-v0.1",
    "yi-coder-9b-chat",
    "codegemma-7b-it",
    "opencoder-8b-instruct",
)
_TYPES = ("Generation", "Debugging", "Theory", "Optimisation", "Explanation", "Testing", "Other")
_SHARES = (52, 16, 11, 8, 7, 4, 2)
_DROPS = (("Duplicate", 0.21), ("Difficulty", 0.33), ("Diversity", 0.12), ("Truncated", 0.04), ("TooShort", 0.02))
_CODE = '''Keep a window over the list and move its left end past the last repeat:

```python
def longest_unique(text: str) -> int:
    """Length of the longest run without a repeated character."""
    last: dict[str, int] = {}
    start = best = 0
    for place, character in enumerate(text):
        start = max(start, last.get(character, -1) + 1)
        last[character] = place
        best = max(best, place - start + 1)
    return best
```

Each character is looked at once, so the time is O(n) and the space O(k) for an alphabet of k characters.'''


def sample(
    names: Sequence[str] = FIVE, *, instructions: int = 4_000, seed: int = 0, ledger: bool = True
) -> ReportInput:
    """A tournament among these players, who judge one another."""
    rng = random.Random(seed)
    skills = sorted((rng.gauss(0, 0.16) for _ in names), reverse=True)
    players = _players(names, skills, instructions, rng)
    judges = tuple(_judge(name, place, names, skills, instructions, rng) for place, name in enumerate(names))
    matches = instructions * (len(names) - 1)
    rates, counts, expected = _pairs(skills, instructions, rng)
    standings = Standings(
        players=players,
        judges=judges,
        win_rates=rates,
        win_counts=counts,
        expected=expected,
        length_points=61.25,
        length_low=48.5,
        length_high=73.0,
        home_points=24.0,
        home_low=11.0,
        home_high=37.0,
        instructions=instructions,
        matches=matches,
        undecided=3,
        verdicts=sum(judge.verdicts for judge in judges),
        without_quorum=11,
        unjudged=2,
        best_alone=round(players[0].gold / sum(player.gold for player in players), 6),
        alpha=0.7,
        k=40,
    )
    return ReportInput(
        tournament="code-experts",
        run="3f9c1e02ab44",
        standings=standings,
        notes=(f"{names[1]} decided 96 of 108 verdicts: it names no side (12)",),
        data=_data(names, players, judges, instructions, rng),
        benchmarks=tuple(
            _score(name, benchmark, tasks, rng)
            for benchmark, tasks in (("humaneval_plus", 164), ("mbpp_plus", 378), ("gsm8k", 1319))
            for name in names
        ),
        gains=tuple(
            Gain(benchmark=name, tasks=164, before=0.41, after=0.53, difference=0.12, low=0.05, high=0.19)
            for name in ("humaneval_plus", "mbpp_plus")
        ),
        curve=tuple(
            CurvePoint(
                stage=stage, step=step, epoch=step / 40, loss=top * (0.55 + 0.45 * 0.98**step), learning_rate=1e-5
            )
            for stage, top in (("sft", 1.4), ("dpo", 0.69))
            for step in range(1, 449)
        ),
        kept_scores={6: instructions // 5, 7: instructions // 4, 8: instructions // 3, 9: instructions // 6, 10: 40},
        stages=_stages(len(names), instructions),
        samples=tuple(_sample(name, names[0]) for name in names[:8]),
        files=tuple(
            ManifestFile(path=path, sha256=_digest(path), size=1000 * (place + 1) ** 6, rows=rows)
            for place, (path, rows) in enumerate(
                (
                    ("README.md", 0),
                    ("data/preference.parquet", max(instructions - 90, 0)),
                    ("data/sft.parquet", max(instructions - 40, 0)),
                    ("leaderboard.json", 0),
                    ("tables/answers.parquet", instructions * len(names)),
                    ("tables/verdicts.parquet", standings.verdicts),
                )
            )
        ),
        prefixes=tuple(
            PrefixRow(name, '"<|im_start|>user\\n"', "tokenize", '"<|im_end|>"', "tokenize") for name in names
        ),
        versions={"numpy": "2.4.6", "pyarrow": "26.0.1", "python": "3.11", "tiltyard": "0.1.0"},
        ledger=_ledger(names, instructions, rng) if ledger else (),
    )


def _win(a: float, b: float) -> float:
    return 1 / (1 + 10 ** (b - a))


def _players(
    names: Sequence[str], skills: Sequence[float], instructions: int, rng: random.Random
) -> tuple[PlayerStanding, ...]:
    weights = [10 ** (6 * skill) for skill in skills]
    players = []
    for place, (name, skill) in enumerate(zip(names, skills, strict=True)):
        rating = 1000 + 400 * skill
        width = 900 / instructions**0.5 * rng.uniform(0.9, 1.2)
        others = [_win(skill, other) for index, other in enumerate(skills) if index != place]
        players.append(
            PlayerStanding(
                name=name,
                model_id=_digest(name)[:12],
                uri=f"hf://lab/{name}",
                rank=place + 1,
                rating=round(rating, 3),
                low=round(rating - width, 3),
                high=round(rating + width, 3),
                elo=round(rating + rng.gauss(0, 4), 3),
                length_controlled=round(rating + rng.gauss(0, 14), 3),
                win_rate=round(sum(others) / len(others), 6),
                matches=2 * instructions * (len(names) - 1) // len(names),
                gold=int((instructions - 2) * weights[place] / sum(weights)),
            )
        )
    return tuple(players)


def _judge(
    name: str, place: int, names: Sequence[str], skills: Sequence[float], instructions: int, rng: random.Random
) -> JudgeReportCard:
    verdicts = 2 * instructions * (len(names) - 1) * (len(names) - 2) // len(names)
    odd = place == 3
    votes = {
        other: round(verdicts * _win(skill, 0) / len(names), 2)
        for other, skill in zip(names, skills, strict=True)
        if other != name
    }
    exchanged = int(verdicts * 0.45)
    consistency = 0.62 if odd else rng.uniform(0.78, 0.93)
    return JudgeReportCard(
        name=name,
        model_id=_digest(name)[:12],
        verdicts=verdicts,
        voids={"Undecided": 31, "Malformed": 9} if odd else {"Undecided": 4 + place},
        first_position=_estimate(0.66 if odd else rng.uniform(0.47, 0.55), 0.01, odd),
        consistency=consistency,
        exchanged=exchanged,
        flips=int(exchanged * (1 - consistency)),
        agreement=0.58 if odd else rng.uniform(0.7, 0.8),
        compared=verdicts * (len(names) - 3),
        shared=verdicts // 2,
        scale=_estimate(0.44 if odd else rng.uniform(0.9, 1.2), 0.02, odd),
        length=_estimate(0.11 if place == 1 else rng.uniform(-0.02, 0.02), 0.015, place == 1),
        family={0: _estimate(0.083, 0.02, True), 3: _estimate(-0.012, 0.03, False)}.get(place),
        family_battles=420 if place in (0, 3) else 0,
        votes_for=votes,
    )


def _estimate(value: float, margin: float, marked: bool) -> Estimate:
    return Estimate(value=round(value, 6), low=round(value - margin, 6), high=round(value + margin, 6), marked=marked)


def _pairs(
    skills: Sequence[float], instructions: int, rng: random.Random
) -> tuple[tuple[tuple[float | None, ...], ...], tuple[tuple[int, ...], ...], tuple[tuple[float, ...], ...]]:
    size = len(skills)
    rates: list[list[float | None]] = [[None] * size for _ in skills]
    each = 2 * instructions // size
    counts = [[0 if a == b else each for b in range(size)] for a in range(size)]
    for a in range(size):
        for b in range(a + 1, size):
            if size > 8 and (a, b) == (1, 6):
                counts[a][b] = counts[b][a] = 0
                continue
            rate = min(max(_win(skills[a], skills[b]) + rng.gauss(0, 0.02), 0.0), 1.0)
            rates[a][b], rates[b][a] = round(rate, 6), round(1 - rate, 6)
    expected = tuple(tuple(round(_win(a, b), 6) for b in skills) for a in skills)
    return tuple(map(tuple, rates)), tuple(map(tuple, counts)), expected


def _data(
    names: Sequence[str],
    players: Sequence[PlayerStanding],
    judges: Sequence[JudgeReportCard],
    instructions: int,
    rng: random.Random,
) -> DataSummary:
    each = instructions // len(names)
    funnels = []
    for name in names:
        asked = int(each / 0.28)
        dropped = {reason: int(asked * share * rng.uniform(0.9, 1.1)) for reason, share in _DROPS}
        scores = Counter({str(score): int(asked * 0.7 * _bell(score)) for score in range(1, 11)})
        types = {kind: each * share // 100 for kind, share in zip(_TYPES, _SHARES, strict=True)}
        funnels.append(
            Funnel(
                attacker=name,
                asked=asked + sum(dropped.values()) - int(asked * 0.72),
                dropped=dropped,
                curated=each,
                scores=dict(scores),
                task_types=types,
            )
        )
    histogram = [int(instructions * share) for share in (0.12, 0.41, 0.33, 0.1, 0.03, 0.008, 0.001, 0, 0, 0.0005)]
    voids = sum((Counter(judge.voids) for judge in judges), Counter())
    return DataSummary(
        funnels=tuple(funnels),
        overlaps=(
            Overlap(benchmark="humaneval", items=164, histogram=tuple(histogram), matched=2),
            Overlap(benchmark="mbpp", items=974, histogram=tuple(reversed(sorted(histogram))), matched=0),
        ),
        voids={"mine": {"Empty": 14}, "answer": {"Truncated": 22, "Unavailable": 1}, "judge": dict(voids)},
        tokens={
            stage: {name: (int(read * rng.uniform(0.8, 1.2)), int(written * rng.uniform(0.8, 1.2))) for name in names}
            for stage, read, written in (
                ("mine", 9 * each, 160 * each),
                ("grade", 420 * each, 4 * each),
                ("answer", 170 * instructions, 610 * instructions),
                ("judge", 1500 * judges[0].verdicts, judges[0].verdicts),
            )
        },
        sft=max(instructions - 40, 0),
        preference=max(instructions - 90, 0),
        cut={"NoGold": 2, "Contaminated": 12, "Margin": 26, "Tied": 9},
        preference_cut={"OneAnswer": 50},
        gold_by_player={player.name: player.gold for player in players},
    )


def _bell(score: int) -> float:
    return float((0.01, 0.02, 0.05, 0.09, 0.13, 0.19, 0.22, 0.18, 0.09, 0.02)[score - 1])


def _stages(players: int, instructions: int) -> tuple[StageCount, ...]:
    matches = players * (players - 1) * (players - 2)
    return (
        StageCount("mine", players, players * 4, instructions * 4),
        StageCount("filter", players, players, instructions * 3),
        StageCount("grade", players, players * 4, instructions * 3),
        StageCount("curate", players, players, instructions),
        StageCount("answer", players**2, players**2 * 2, instructions * players),
        StageCount("judge", matches, matches * 2, 2 * instructions * (players - 1) * (players - 2)),
        StageCount("rate", 1, 1, instructions * players),
        StageCount("dataset", 1, 1, max(instructions - 40, 0)),
    )


def _ledger(names: Sequence[str], instructions: int, rng: random.Random) -> tuple[LedgerRow, ...]:
    rows = []
    for stage, calls in (("mine", 4), ("grade", 3), ("answer", len(names)), ("judge", 2 * len(names) ** 2)):
        for name in names:
            requests = calls * instructions // len(names)
            read = requests * rng.randrange(200, 1500)
            rows.append(
                LedgerRow.model_validate(
                    {
                        "stage": stage,
                        "model": name,
                        "requests": requests,
                        "retries": rng.randrange(12),
                        "prompt_tokens": read,
                        "cached_tokens": int(read * rng.uniform(0.3, 0.7)),
                        "completion_tokens": requests * rng.randrange(1, 600),
                        "seconds": requests / rng.randrange(20, 60),
                    }
                )
            )
    return tuple(rows)


def _score(model: str, benchmark: str, tasks: int, rng: random.Random) -> BenchmarkScore:
    passed, late = rng.randrange(tasks // 3, tasks - 10), rng.randrange(5)
    estimate = share(passed, tasks)
    return BenchmarkScore(
        model=model,
        benchmark=benchmark,
        tasks=tasks,
        outcomes=(
            {"exact_match,flexible-extract": tasks}
            if benchmark == "gsm8k"
            else {"Failed": tasks - passed - late, "Passed": passed, "TimedOut": late}
        ),
        score=estimate.value,
        low=estimate.low,
        high=estimate.high,
    )


def _sample(attacker: str, winner: str) -> Sample:
    question = (
        "Write a function that returns the length of the longest substring of a string that has no repeated character. "
        "Explain its complexity."
    )
    return Sample(
        instruction_id=_digest(attacker)[:20],
        attacker=attacker,
        winner=winner,
        margin=0.0831,
        difficulty=7,
        task_type="Generation",
        instruction=excerpt(question, 3_000),
        answer=excerpt(_CODE * (20 if attacker == winner else 1), 6_000),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
