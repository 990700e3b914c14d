"""A reversible tokenizer with no vocabulary to load, and a ChatML template.

A token is one to three bytes of UTF-8, read line by line: a line break is a token of its own, and each line is cut
every three bytes (real vocabularies have 3 to 4 characters of English a token). As with any byte-level vocabulary, a
character may be spread over two tokens. Special tokens have one id each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

_WIDTH = 3  # bytes
_OFFSETS = (0, 0, 256, 256 + 256**2)  # of the ids of tokens of 1, 2 and 3 bytes
_FIRST_SPECIAL = 256 + 256**2 + 256**3
SPECIAL_IDS: Mapping[str, int] = {
    text: _FIRST_SPECIAL + place for place, text in enumerate((END_OF_TEXT, TURN_START, TURN_END))
}
VOCABULARY_SIZE = _FIRST_SPECIAL + len(SPECIAL_IDS)

_SPECIAL_BYTES = {ident: text.encode() for text, ident in SPECIAL_IDS.items()}
_SPECIAL = re.compile(b"(" + b"|".join(re.escape(text.encode()) for text in SPECIAL_IDS) + b")")
_TURN = re.compile(r"<\|im_start\|>(\w*)\n(.*?)(<\|im_end\|>\n?|\Z)", re.DOTALL)


class Turn(NamedTuple):
    """One turn of a rendered conversation; `closed` is False where the text ends inside it."""

    role: str
    content: str
    closed: bool


def encode(text: str) -> list[int]:
    """Token ids of `text`; the texts of special tokens become special tokens, as in vLLM."""
    ids: list[int] = []
    for place, piece in enumerate(_SPECIAL.split(_bytes_of(text))):
        if place % 2:
            ids.append(SPECIAL_IDS[piece.decode()])
            continue
        for line_number, line in enumerate(piece.split(b"\n")):
            if line_number:
                ids.append(10)
            for start in range(0, len(line), _WIDTH):
                chunk = line[start : start + _WIDTH]
                ids.append(_OFFSETS[len(chunk)] + int.from_bytes(chunk, "big"))
    return ids


def count_tokens(text: str) -> int:
    """`len(encode(text))` without the list."""
    data, special = _bytes_of(text), 0
    pieces: Sequence[bytes] = (data,)
    if b"<|" in data:
        pieces = _SPECIAL.split(data)
        special, pieces = len(pieces) // 2, pieces[::2]
    return special + sum(
        piece.count(b"\n") + sum((len(line) + _WIDTH - 1) // _WIDTH for line in piece.split(b"\n")) for piece in pieces
    )


def token_bytes(ident: int) -> bytes:
    """The bytes of one token.

    Raises:
        ValueError: no token has this id.
    """
    if ident in _SPECIAL_BYTES:
        return _SPECIAL_BYTES[ident]
    if not 0 <= ident < _FIRST_SPECIAL:
        raise ValueError(f"token id {ident} is out of the vocabulary of {VOCABULARY_SIZE}")
    width = 1 if ident < _OFFSETS[2] else 2 if ident < _OFFSETS[3] else 3
    return (ident - _OFFSETS[width]).to_bytes(width, "big")


def decode(ids: Iterable[int]) -> str:
    """The text of token ids, special tokens included; bytes that are no UTF-8 become U+FFFD.

    Raises:
        ValueError: no token has one of the ids.
    """
    return b"".join(map(token_bytes, ids)).decode("utf-8", "replace")


def render(messages: Iterable[Mapping[str, Any]], *, add_generation_prompt: bool) -> str:
    """A conversation in ChatML."""
    turns = "".join(f"{TURN_START}{message['role']}\n{message['content']}{TURN_END}\n" for message in messages)
    return f"{turns}{TURN_START}assistant\n" if add_generation_prompt else turns


def prefix(system: str | None) -> str:
    """A conversation up to where the user's words would begin."""
    turns = [] if system is None else [{"role": "system", "content": system}]
    return f"{render(turns, add_generation_prompt=False)}{TURN_START}user\n"


def turns_of(prompt: str) -> list[Turn]:
    """The turns of a rendered conversation; none where the text is not in ChatML."""
    return [Turn(role, content, bool(end)) for role, content, end in _TURN.findall(prompt)]


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "replace")
