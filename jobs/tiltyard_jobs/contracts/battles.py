"""Battles with all their texts, for programs: the answer of `tiltyard show`."""

from __future__ import annotations

from tiltyard_jobs.contracts.frozen import Contract


class ShownTurn(Contract):
    """A turn of the conversation before the instruction."""

    role: str
    content: str


class ShownAnswer(Contract):
    """One of the two answers.

    Attributes:
        text: None: it is void, not there yet, or dropped for what it holds.
        thought: what the model wrote before it, if it is kept.
        void: why it is void, if it is.
        detail: more about that.
        cut: the token limit ended it.
        tokens: its completion tokens, if they are known.
        existing: `answers from FILE`, if it existed before.
    """

    player: str
    text: str | None = None
    thought: str | None = None
    void: str | None = None
    detail: str | None = None
    cut: bool
    tokens: int | None = None
    existing: str | None = None


class ShownVerdict(Contract):
    """One judge's verdict, with the answers in one order.

    Attributes:
        first: the player whose answer was shown first.
        vote: A's share of it; None: it is void.
        reason: the judge's, if it gave one.
        void: why it is void, if it is.
        detail: more about that.
    """

    judge: str
    first: str
    vote: float | None = None
    reason: str | None = None
    void: str | None = None
    detail: str | None = None


class ShownScore(Contract):
    """What a player's answer to the instruction is worth.

    Attributes:
        score: None: the answer is void, or met nobody.
        votes: votes won.
        verdicts: votes cast.
        opponents: in decided battles.
        gold: this is the gold answer.
        void: why the answer is void, if it is.
    """

    player: str
    score: float | None = None
    votes: float | None = None
    verdicts: int | None = None
    opponents: int | None = None
    gold: bool
    void: str | None = None


class ShownBattle(Contract):
    """A battle.

    Attributes:
        id: INSTRUCTION/A/B.
        instruction_id: 20 hex digits.
        attacker: the player that wrote the instruction, or whose it is.
        instruction: what is asked.
        history: the turns before it.
        task_type: one of seven, by rules; None: it has none yet.
        difficulty: 1 to 10; None: nothing was graded.
        grade: Excellent, Good, Average or Poor; None: nothing was graded.
        columns: the user's own, which `instructions.from.keep` names.
        a: the answer of A.
        b: the answer of B.
        share: A's share of the votes; None: no judge voted.
        verdicts: by judge and order.
        scores: of all answers to the instruction, the best first; empty until the run is complete.
        gold: who wrote the gold answer; None: nobody, or it is not known yet.
        margin: the gold answer's lead over the second, if it is known.
        cut: why there is no training row, if there is none.
    """

    id: str
    instruction_id: str
    attacker: str
    instruction: str
    history: tuple[ShownTurn, ...]
    task_type: str | None = None
    difficulty: int | None = None
    grade: str | None = None
    columns: dict[str, str]
    a: ShownAnswer
    b: ShownAnswer
    share: float | None = None
    verdicts: tuple[ShownVerdict, ...]
    scores: tuple[ShownScore, ...]
    gold: str | None = None
    margin: float | None = None
    cut: str | None = None


class ShownProgram(Contract):
    """A program that a model wrote for a task of a benchmark.

    Attributes:
        task: the task's id.
        outcome: Passed, Failed, TimedOut or Crashed; or why the task is not scored.
        detail: more about it, which may contain what the program printed.
        reply: what the model wrote; None: there is no reply.
    """

    player: str
    benchmark: str
    task: str
    outcome: str
    detail: str | None = None
    reply: str | None = None


class ShownBattles(Contract):
    """What the reader writes for the command line.

    Attributes:
        tournament: its name.
        run: 12 hex digits.
        complete: the run is.
        battles: in the order in which their ids were given.
        programs: in the order in which the ids of their tasks were given.
    """

    tournament: str
    run: str
    complete: bool
    battles: tuple[ShownBattle, ...]
    programs: tuple[ShownProgram, ...]
