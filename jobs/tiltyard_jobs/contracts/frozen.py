"""The base of all contract documents, and canonical JSON: the one form that is hashed."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

IN_KEY = {"inKey": True}  # a serialisation context
KEY_LENGTH = 32  # hex digits of SHA-256: 128 bits, short enough for a label


class Contract(BaseModel):
    """An immutable document that crosses the line between planner and worker. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    def canonical(self, *, in_key: bool = False) -> bytes:
        """Sorted, compact, ASCII JSON: equal documents have equal bytes, whoever wrote them.

        Args:
            in_key: without what is no part of a key, see `contracts.located`.
        """
        document = self.model_dump(mode="json", by_alias=True, context=IN_KEY if in_key else None)
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def digest(data: bytes) -> str:
    """SHA-256 in hex, 64 digits."""
    return hashlib.sha256(data).hexdigest()


def key_of(document: Contract) -> str:
    """The key of a document: the first 32 hex digits of its digest."""
    return digest(document.canonical(in_key=True))[:KEY_LENGTH]
