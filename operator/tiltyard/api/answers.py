"""Answers that exist already: a competitor that is only judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import ColumnName, Line, Sha256, TextsUri
from tiltyard.api.texts import DIGEST_OF_ADDRESS, FILES_IN_CLUSTER, ONE_PLACE, TextFile
from tiltyard_jobs.contracts.identity import AnswerFiles
from tiltyard_jobs.contracts.located import LocatedFile
from tiltyard_jobs.contracts.vocabulary import BadRowRule


def _one_match(answers: ExistingAnswers) -> Iterator[Violation]:
    if (answers.id_field is None) == (answers.instruction_field is None):
        yield Violation((), "neither" if answers.id_field is None else "both")


ONE_MATCH: Rule[ExistingAnswers] = Rule(
    sentence="must have exactly one of idField (the instruction's id) and instructionField (its text): it says which"
    " instruction an answer belongs to",
    check=_one_match,
    cel="has(self.idField) != has(self.instructionField)",
)


class ExistingAnswers(ApiModel):
    """Answers that were written before the tournament, in a file or in several."""

    RULES = (ONE_PLACE, ONE_MATCH, DIGEST_OF_ADDRESS)
    CLUSTER_RULES = (FILES_IN_CLUSTER,)

    uri: TextsUri | None = None
    """The file, or a folder, prefix or pattern that stands for several, as in `instructions.from.uri`. Absent: the
    files in `files`."""
    files: Annotated[tuple[TextFile, ...], Field(max_length=32)] = ()
    """Several files, instead of `uri`."""
    sha256: Sha256 | None = None
    """The SHA-256 digest of the file in `uri`, as in `instructions.from.sha256`. Required for https://."""
    field: ColumnName = "output"
    """The column that holds the answer, or a path to it: `output`, `choices[0].turns[0].content`,
    `messages[-1].content`; of a list of records the one with a given value: `completions[model=gpt-4].response`.
    Thoughts are removed from it as from a model's reply. Default: output."""
    id_field: ColumnName | None = None
    """The column that holds the id of the instruction, as `instructions.from.idField` has it, or a path to it. No
    two rows may have the same."""
    instruction_field: ColumnName | None = None
    """Instead of `idField`: the column that holds the instruction's text, or a path to it. Texts are compared as
    instructions are for exact repeats; of two rows with the same text the first counts."""
    on_bad_row: BadRowRule = "Refuse"
    """What happens to a malformed row, as in `instructions.from.onBadRow`. Default: Refuse."""
    license: Line | None = None
    """The licence of the answers. It is recorded on every row made from them. Absent: unknown."""

    def described(self) -> AnswerFiles:
        """The same for the worker."""
        files = self.files or (TextFile.model_construct(uri=self.uri or "", sha256=self.sha256),)
        return AnswerFiles(
            files=tuple(LocatedFile(uri=file.uri, sha256=file.sha256) for file in files),
            field=self.field,
            id_field=self.id_field,
            instruction_field=self.instruction_field,
            on_bad_row=self.on_bad_row,
        )
