"""Where instructions come from, and which of them are battled over (paper, section 3.2)."""

from __future__ import annotations

from typing import ClassVar, Literal

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.located import Located, LocatedFile, is_many
from tiltyard_jobs.contracts.recipe import ArtifactRef, Fraction, Phase, Recipe, Requests, in_key_if_set, parts
from tiltyard_jobs.contracts.vocabulary import (
    BadRowRule,
    DedupMethod,
    DiversityMethod,
    EmbedderMethod,
    Flag,
    Grade,
    LintRules,
)

# Tokens, for estimates: medians of chat data sets, rounded up.
PREFIX_TOKENS = 32
INSTRUCTION_TOKENS = 120
GRADE_PROMPT_TOKENS = 220
GRADE_TOKENS = 8


class SamplingRecipe(Contract):
    """How a reply is sampled."""

    temperature: Fraction
    top_p: Fraction
    max_tokens: int


TOKENIZER_FILES = ("chat_template.jinja", "tokenizer_config.json", "chat_template.json", "tokenizer.json")
"""Of a tokenizer's folder, what is read for its chat template."""


class TokenizerRecipe(Located):
    """Where a model's chat template is, if its server does not tell it.

    Attributes:
        uri: `hf://ORG/NAME`, or `file:///…` of a folder.
        revision: of the repository; of a folder `sha256:…`, the digest of the files that are read.
        version: of what is read there; 2: the ids of special tokens too, at which mined texts end.
    """

    uri: str
    revision: str | None = None
    version: int = 2


class MineRecipe(Recipe):
    """Instructions that a model writes when its own template's prefix is all that it sees (paper, section 3.2).

    Attributes:
        prefix: the manifest's own prefix; None: derived from the served model's template.
        stops: the manifest's own texts at which a user's words end; empty: the template's.
        tokenizer: where the model's template is read; None: the server is asked.
        system_prompts: the user's own system messages, rendered by the model's own template; none beside a `prefix`.
        settings: the sampling grid, in order; see `turn`.
        rows: how many completions are asked for.
        seed: the tournament's seed; each row's own seed derives from it and the row's id.
    """

    PHASE: ClassVar[Phase] = "Mining"

    stage: Literal["mine"] = "mine"
    version: int = 2
    model: ModelIdentity
    prefix: str | None
    stops: tuple[str, ...] = in_key_if_set(())
    tokenizer: TokenizerRecipe | None = in_key_if_set(None)
    system_prompts: tuple[str, ...] = in_key_if_set(())
    settings: tuple[SamplingRecipe, ...]
    rows: int
    seed: int
    shard_size: int

    @property
    def asked(self) -> ModelIdentity:
        """Who makes it."""
        return self.model

    @property
    def shards(self) -> int:
        """Parts of `shard_size` rows."""
        return parts(self.rows, self.shard_size)

    @property
    def systems(self) -> tuple[str | None, ...]:
        """The system messages that take turns; None: none."""
        return self.system_prompts or (None,)

    def turn(self, row: int) -> tuple[SamplingRecipe, int]:
        """The setting of a row, and which of `systems` it has: one message for the whole grid, then the next."""
        grid = len(self.settings)
        return self.settings[row % grid], row // grid % len(self.systems)

    def requests(self, answer_tokens: int) -> Requests:
        """A completion for each row."""
        return Requests(self.rows, PREFIX_TOKENS, max(setting.max_tokens for setting in self.settings))


class SampleRecipe(Contract):
    """Some texts by chance.

    Attributes:
        rows: how many.
        seed: with each text's own id, or its words, it says which.
    """

    rows: int
    seed: int


class PromptsRecipe(Recipe, Located):
    """Instructions read from a file of the user's, or from several, instead of mined.

    Attributes:
        uri: JSON lines, CSV or parquet; empty where `files` are given.
        files: several, in order.
        limit: no more than the first so many texts are read.
        sample: likewise, by chance.
        field: the column that holds the instruction, or a path to it.
        template: makes the text of several columns; None: the text is in `field`.
        messages_field: a conversation instead: its last turn of the user is the instruction.
        system_field: a system message that goes before the instruction.
        on_bad_row: what becomes of a row that is not what it should be.
        id_field: a column with an id of each row.
        keep: columns that go into the tables.
        sha256: the file's digest, where it is known: another file in its place is refused, and `uri` is not in the key.
        attacker_field: the column that names the attacker; None: rows are dealt to the attackers in turn.
        attacker: the value looked for in `attacker_field`.
        attacker_id: the attacker's model.
        turn: this attacker's place in the dealing, of `turns`.
        rows: at most this many for this attacker; a file that holds more is refused.
    """

    PHASE: ClassVar[Phase] = "Mining"

    stage: Literal["prompts"] = "prompts"
    version: int = 2
    uri: str
    files: tuple[LocatedFile, ...] = in_key_if_set(())
    limit: int | None = in_key_if_set(None)
    sample: SampleRecipe | None = in_key_if_set(None)
    field: str
    template: str | None = in_key_if_set(None)
    messages_field: str | None = in_key_if_set(None)
    system_field: str | None = in_key_if_set(None)
    on_bad_row: BadRowRule = in_key_if_set("Refuse")
    id_field: str | None = in_key_if_set(None)
    keep: tuple[str, ...] = in_key_if_set(())
    sha256: str | None = None
    attacker_field: str | None
    attacker: str | None
    attacker_id: str
    turn: int
    turns: int
    rows: int

    @property
    def several(self) -> bool:
        """Whether there may be more files than one: the name of its file is kept beside each row."""
        return bool(self.files) or is_many(self.uri)


FILE_COLUMN = "source_file"
"""Of the kept columns, the one that names the file."""


class EmbedderRecipe(Contract):
    """What turns instructions into vectors.

    Attributes:
        method: HashedNgrams (no model), SentenceTransformers (by name or folder), Endpoint.
        model: the name or folder, or for an endpoint `URL#model`.
    """

    method: EmbedderMethod = "HashedNgrams"
    model: str | None = None


class FilterRecipe(Recipe):
    """Lint, then dedup within the attacker and against the attackers before it (first one keeps it).

    Attributes:
        source: the mined (or read) instructions.
        earlier: what the attackers before this one kept, in order.
        lint: for which issues an instruction is dropped. Not in the key where it is Strict, the only way there was.
        drop_flags: for which flags it is, too.
        flagging: `versions.FLAGGING` where there are such flags.
    """

    PHASE: ClassVar[Phase] = "Curating"

    stage: Literal["filter"] = "filter"
    version: int = 9
    source: ArtifactRef
    earlier: tuple[ArtifactRef, ...]
    lint: LintRules = in_key_if_set("Strict")
    drop_flags: tuple[Flag, ...] = in_key_if_set(())
    flagging: int = in_key_if_set(1)
    dedup: DedupMethod
    threshold: Fraction
    embedder: EmbedderRecipe | None

    @property
    def embeds(self) -> bool:
        """Where vectors come from an endpoint."""
        return self.embedder is not None and self.embedder.method == "Endpoint"


class GradeRecipe(Recipe):
    """The difficulty of instructions, from 1 to 10, by one grader.

    `rows` bounds the number of instructions (known beforehand); parts past the real number are empty.

    Attributes:
        criteria: the user's own; None: those of `prompt`.
        max_tokens: of one grade, including the thought before it.
    """

    PHASE: ClassVar[Phase] = "Curating"

    stage: Literal["grade"] = "grade"
    version: int = 3
    grader: ModelIdentity
    prompt: str
    criteria: str | None = in_key_if_set(None)
    max_tokens: int
    instructions: ArtifactRef
    rows: int
    shard_size: int

    @property
    def asked(self) -> ModelIdentity:
        """Who makes it."""
        return self.grader

    @property
    def shards(self) -> int:
        """Parts of `shard_size` rows."""
        return parts(self.rows, self.shard_size)

    def requests(self, answer_tokens: int) -> Requests:
        """A grade for each row."""
        prompt = GRADE_PROMPT_TOKENS + INSTRUCTION_TOKENS
        return Requests(self.rows, prompt, min(GRADE_TOKENS, self.max_tokens))


class CurateRecipe(Recipe):
    """Instructions that battles are fought over: those of the wanted difficulty, compressed by k-center greedy.

    Attributes:
        keep: difficulty grades to keep; empty with no `grades`: no grading.
        limit: at most this many are kept; None: all.
    """

    PHASE: ClassVar[Phase] = "Curating"

    stage: Literal["curate"] = "curate"
    instructions: ArtifactRef
    grades: tuple[ArtifactRef, ...]
    keep: tuple[Grade, ...]
    diversity: DiversityMethod
    embedder: EmbedderRecipe | None
    limit: int | None
    seed: int

    @property
    def embeds(self) -> bool:
        """Where vectors come from an endpoint."""
        return self.embedder is not None and self.embedder.method == "Endpoint"
