"""From votes to ratings and gold answers: pure functions over numpy columns, no I/O.

`votes` tallies verdicts into battles; `battles` holds them; `elo`, `bradley_terry`, `bootstrap` and `covariate` rate
the players; `gold` picks the best answer to each instruction; `report_card` and `stability` look at the judges.
Players, judges and instructions are integers: the caller numbers them (in sorted order, so that the same records give
the same bytes) and sizes follow from the counts it passes.
"""
