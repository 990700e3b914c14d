"""A model of vLLM's prefix cache: which part of a prompt has been seen before.

Prompts are held as chains of blocks of 64 characters in a trie; the blocks used longest ago leave first. What it
reports depends on the order of the requests, as a real server's count does; no reply depends on it.
"""

from __future__ import annotations

from collections import OrderedDict

BLOCK = 64  # characters
_ROOT = 0


class PrefixCache:
    """The blocks of the prompts seen last.

    Args:
        capacity: blocks kept.
    """

    def __init__(self, capacity: int = 32_768) -> None:
        self._capacity = capacity
        self._blocks: OrderedDict[tuple[int, str], int] = OrderedDict()
        self._next = _ROOT + 1

    def __len__(self) -> int:
        return len(self._blocks)

    def visit(self, prompt: str) -> int:
        """How many characters of `prompt`, from its beginning, were there already; now all its whole blocks are."""
        blocks, known, parent = self._blocks, 0, _ROOT
        path: list[tuple[int, str]] = []
        end = len(prompt) - len(prompt) % BLOCK
        for start in range(0, min(end, self._capacity * BLOCK), BLOCK):
            key = (parent, prompt[start : start + BLOCK])
            node = blocks.get(key)
            if node is None:
                node = blocks[key] = self._next
                self._next += 1
            else:
                known += BLOCK
            path.append(key)
            parent = node
        for key in reversed(path):  # the root of a chain is used last, so it outlives its leaves
            blocks.move_to_end(key)
        while len(blocks) > self._capacity:
            blocks.popitem(last=False)
        return known
