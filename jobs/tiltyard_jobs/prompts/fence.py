"""Fences around text that a model wrote, so that it cannot pass for ours.

A fence carries a tag that is a digest of its own content under a salt: text inside a fence cannot know the tag that
will close it. The tag depends on nothing that comes later in the prompt, so that prompts which begin alike stay alike.
"""

from __future__ import annotations

import hashlib


def fence(name: str, text: str, salt: str) -> str:
    """`text` between an opening and a closing line that only the caller could have written."""
    tag = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6, key=salt.encode()[:64]).hexdigest()
    return f"<<<{name} {tag}>>>\n{text}\n<<<END {name} {tag}>>>"
