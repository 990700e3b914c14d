"""How large a number may be that a server or a pod reports.

Whoever answers is not trusted: no number of theirs is to overflow a table (64 bits), a status, or a sum of such
numbers.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

MOST: Final = 2**45
"""Sums end here, too."""
MOST_OF_A_REPLY: Final = 2**31
"""Tokens of one reply. No context is nearly as long, and the rows of a table stay far below 64 bits together."""

Number = Annotated[int, Field(ge=0, le=MOST)]
Seconds = Annotated[float, Field(ge=0, le=MOST)]
Points = Annotated[float, Field(ge=-MOST, le=MOST)]
"""No NaN is in a range."""
