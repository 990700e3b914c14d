"""The marks around a model's thoughts."""

from __future__ import annotations

from collections.abc import Iterator

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import ThoughtMark


def _same(marks: ThoughtMarks) -> Iterator[Violation]:
    if marks.opening == marks.closing:
        yield Violation(("closing",), f'"{marks.closing}"')


TWO_MARKS: Rule[ThoughtMarks] = Rule(
    sentence="must not be the opening mark: where a thought ends could not be told from where it begins",
    check=_same,
    cel="self.opening != self.closing",
    field_path=".closing",
)


class ThoughtMarks(ApiModel):
    """The marks around a thought. Those of the usual models are known and need not be given."""

    RULES = (TWO_MARKS,)

    opening: ThoughtMark
    """The mark with which a reply begins where it begins with a thought, such as <scratchpad>."""
    closing: ThoughtMark
    """The mark that ends the thought, such as </scratchpad>. It ends one without the opening mark too, which a chat
    template may have written; unless it is words, such as Answer:."""

    @property
    def identity(self) -> tuple[str, ...]:
        """Both of them."""
        return (self.opening, self.closing)
