"""Where the instructions come from: mined from the competitors, or given."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import (
    ColumnName,
    Line,
    PositiveShare,
    Sha256,
    SystemMessage,
    Temperature,
    TextsUri,
    TextTemplate,
    TokenLimit,
)
from tiltyard.api.shapes import Distinct, Whole
from tiltyard.api.texts import DIGEST_OF_ADDRESS, FILES_IN_CLUSTER, ONE_PLACE, TextFile
from tiltyard_jobs.contracts.vocabulary import BadRowRule


class Mine(ApiModel):
    """Instructions that the competitors write themselves, given their chat template's prefix (paper, section 3.2)."""

    per_competitor: Annotated[int, Whole(1, 10_000_000)] = 10000
    """The number of completions requested from each competitor, before curation. Default: 10000."""
    temperatures: Annotated[tuple[Temperature, ...], Field(min_length=1, max_length=16), Distinct()] = (
        Decimal("0.6"),
        Decimal("0.8"),
        Decimal("1.0"),
    )
    """The sampling temperatures. Every combination with `topP` is used in turn. Default: 0.6, 0.8, 1.0."""
    top_p: Annotated[tuple[PositiveShare, ...], Field(min_length=1, max_length=16), Distinct()] = (
        Decimal("0.9"),
        Decimal("0.95"),
        Decimal("0.99"),
    )
    """The top-p values of nucleus sampling. Default: 0.9, 0.95, 0.99."""
    max_tokens: TokenLimit = 512
    """The length of one instruction in tokens, at most. Default: 512."""
    system_prompts: Annotated[tuple[SystemMessage, ...], Field(max_length=16), Distinct()] = ()
    """System messages under which instructions are mined, such as `You are a coding assistant`. They are rendered by
    the model's own chat template, and used in turn: each for all combinations of `temperatures` and `topP`, then the
    next. A competitor's `chatTemplatePrefix` is used as it is instead. Empty: none is given, and a template may
    add its own."""


def _one_text(given: GivenInstructions) -> Iterator[Violation]:
    if given.template is not None and given.messages_field is not None:
        yield Violation(("template",), "both")


ONE_TEXT: Rule[GivenInstructions] = Rule(
    sentence="must not be set together with messagesField",
    check=_one_text,
    cel="!(has(self.template) && has(self.messagesField))",
    field_path=".template",
)


def _one_pick(given: GivenInstructions) -> Iterator[Violation]:
    if given.limit is not None and given.sample is not None:
        yield Violation(("sample",), "both")


ONE_PICK: Rule[GivenInstructions] = Rule(
    sentence="must not be set together with limit",
    check=_one_pick,
    cel="!(has(self.limit) && has(self.sample))",
    field_path=".sample",
)


class GivenInstructions(ApiModel):
    """Where the instructions stand in the files, and which of them are used."""

    RULES = (ONE_TEXT, ONE_PLACE, ONE_PICK, DIGEST_OF_ADDRESS)
    CLUSTER_RULES = (FILES_IN_CLUSTER,)

    uri: TextsUri | None = None
    """The file at s3://BUCKET/KEY, hf://datasets/ORG/NAME@REVISION/PATH on the Hugging Face hub or https://HOST/PATH;
    on one machine also a path, relative to the manifest, with ~/ or in full, or file:///PATH. By the end of its name
    it is JSON Lines, JSON, CSV, TSV, text with one instruction a line (.txt), parquet or Arrow, compressed or not.
    It may name several files, which are read in the order of their names: a folder, here or on the hub, or a
    prefix s3://BUCKET/KEY/ that ends in /, for all files below it whose names end so; or a pattern such as
    `prompts/*.jsonl`. The tables name each row's file in `source_file`. Absent: the files in `files`."""
    files: Annotated[tuple[TextFile, ...], Field(max_length=256)] = ()
    """Several files, instead of `uri`, read in this order."""
    sha256: Sha256 | None = None
    """The SHA-256 digest of the file in `uri`. A file with another digest is refused; a new digest here recomputes what
    was made from the file. Required for https://. Absent: on one machine the digest of a file is filled in; otherwise a
    change of the file under the same name goes unnoticed."""
    limit: Annotated[int, Whole(1, 10_000_000)] | None = None
    """The number of instructions to read, from the beginning. Absent: all."""
    sample: Annotated[int, Whole(1, 10_000_000)] | None = None
    """The number of instructions to take at random: `spec.seed` and each row's own id (`idField`), or its text, decide
    which, so that another row in the file changes at most one of them. They stay in the file's order. Absent: all."""
    field: ColumnName = "prompt"
    """The column that holds the text, or a path to it: `messages[-1].content`, `conversations[0].value`, `turns[0]`.
    Not used where `template` or `messagesField` is set. Default: prompt."""
    per_competitor: Annotated[int, Whole(1, 10_000_000)] = 10000
    """The number of instructions per competitor, at most. A file with more is refused. Default: 10000."""

    template: TextTemplate | None = None
    """The text of an instruction, made of several columns: `"{instruction}\\n\\n{input}"`, with paths as in `field`.
    Where a value is empty, the text before it is left out. Absent: the text in `field`."""
    messages_field: ColumnName | None = None
    """A column with whole conversations, or a path to it, instead of `field`: `messages`, `conversations`. The last
    message of the user is the instruction. A system message and the turns before it go to all competitors, graders and
    judges, and into the training rows; the messages after it are left out."""
    system_field: ColumnName | None = None
    """A column with a system message for each instruction, or a path to it. It goes where the turns before an
    instruction go, and takes the place of `battles.answer.system`. Absent: none."""
    id_field: ColumnName | None = None
    """A column with an id of each row, or a path to it; no two rows may have the same. It is the column `source_id` of
    the tables of instructions, answers, battles and training rows. Absent: only the row's number is there."""
    keep: Annotated[tuple[ColumnName, ...], Field(max_length=16), Distinct()] = ()
    """Columns of the file that go into these tables as they are, as text."""
    on_bad_row: BadRowRule = "Refuse"
    """What happens to a malformed row: not JSON, more or fewer cells than the header, no text. Refuse: the file is
    refused, with the number of such rows and the first of them. Skip: they are skipped and counted.
    Default: Refuse."""
    license: Line | None = None
    """The licence of the instructions. It is recorded on every training row. Absent: unknown."""
    attacker_field: ColumnName | None = None
    """The column that names the competitor to which an instruction belongs. Absent: the competitors get the
    instructions in turn."""


def _one_source(instructions: Instructions) -> Iterator[Violation]:
    given = [
        name for name in ("mine", "from") if getattr(instructions, "given" if name == "from" else name) is not None
    ]
    if len(given) != 1:
        yield Violation((), " and ".join(given) or "neither")


ONE_INSTRUCTION_SOURCE: Rule[Instructions] = Rule(
    sentence="must have exactly one of mine (`mine: {}` takes all defaults) and from",
    check=_one_source,
    cel="has(self.mine) != has(self.from)",
)


class Instructions(ApiModel):
    """Where the instructions come from: exactly one of `mine` and `from`."""

    RULES = (ONE_INSTRUCTION_SOURCE,)

    mine: Mine | None = None
    """Mine the instructions from the competitors. `{}` takes all defaults."""
    given: GivenInstructions | None = Field(default=None, alias="from")
    """Read the instructions from a file, or from several."""
