"""Names that a table has little room for."""

from __future__ import annotations

from collections.abc import Sequence

GAP = "…"


def shortened(names: Sequence[str], width: int) -> list[str]:
    """Names of at most `width` characters that differ where the names do.

    A long name loses its middle: names of models mostly differ at the end. Where names would become the same, more or
    less of their beginning is kept; where that does not help, they are numbered.

    Args:
        names: without `…`.
        width: at least 8.
    """
    kept = width - len(GAP)
    for head in sorted(range(1, kept), key=lambda size: abs(size - kept // 2)):
        cut = [_cut(name, head, kept - head) for name in names]
        if len(set(cut)) == len(set(names)):
            return cut
    places = {name: place for place, name in enumerate(dict.fromkeys(names), 1)}
    return [name if len(name) <= width else _numbered(name, places[name], width) for name in names]


def _cut(name: str, head: int, tail: int) -> str:
    return name if len(name) <= head + len(GAP) + tail else f"{name[:head]}{GAP}{name[-tail:]}"


def _numbered(name: str, place: int, width: int) -> str:
    ending = f"{GAP}{place}"
    return name[: width - len(ending)] + ending
