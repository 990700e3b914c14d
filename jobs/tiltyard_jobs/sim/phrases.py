"""The words that answers are made of: {name}, {argument}, {field} and {subject} stand for words of the instruction.

What is vague, hedged or flawed is so in plain words, which a reader of the answer can see.
"""

from __future__ import annotations

from typing import NamedTuple

from tiltyard_jobs.sim.domains import Domain


class EdgeCase(NamedTuple):
    """An edge case as an answer names it, and the lines of Python that meet it (none where the body does)."""

    sentence: str
    guard: str = ""


OPENINGS: tuple[str, ...] = (
    "Here is a solution for the {subject}.",
    "The core of this is the {field} of the {subject}.",
    "Let us take the {subject} one step at a time.",
    "There are two parts to this: reading the {subject} and `{name}`.",
    "The plan below keeps the {subject} in their order.",
    "Short version: `{name}` does it in one pass.",
)

STEPS: dict[Domain, tuple[str, ...]] = {
    Domain.GENERATION: (
        "Read the {subject} lazily, so that memory does not grow with the input.",
        "Check each {field} at the boundary and raise a ValueError that names the entry.",
        "Keep parsing and the rule about the {field} in two functions.",
        "Return a new list; the caller's {argument} stay as they were.",
        "Give `{name}` type hints and a docstring with the units of the {field}.",
        "Sort by the {field} and then by position, so that equal entries keep their order.",
        "Close the file in a context manager, on errors too.",
    ),
    Domain.DEBUGGING: (
        "Reproduce it with two {subject} that share one {field}: that alone shows the failure.",
        "The cause is the bound of the loop: it stops one entry before the end.",
        "The mutable default is shared between calls; make it inside `{name}`.",
        "Compare with `is None`, as a {field} of zero is a value and not a gap.",
        "Do not change {argument} while iterating over it: collect first, remove after.",
        "Add a regression test that fails before the change and passes after it.",
        "Divide only where there is at least one entry.",
    ),
    Domain.REFACTORING: (
        "Pin the present behaviour with tests on the {subject} before touching a line.",
        "Extract the rule about the {field} into a pure function.",
        "Replace the flags by one enumeration with a case for each {field}.",
        "Build the text by one join in place of repeated concatenation: linear and not quadratic.",
        "Group the {subject} once in a dictionary, so that the inner loop goes away.",
        "Name the constants; each magic number becomes a word.",
        "Measure before and after on the same {subject}.",
    ),
    Domain.ALGORITHMS: (
        "Sort the {subject} by {field} once: O(n log n), and each query is then a binary search.",
        "Keep a heap of the open {subject}; each enters and leaves it once.",
        "The state is the pair of position and remaining {field}; there are n times W of them.",
        "Relax each edge at most once per settled node, which bounds the work by O((V + E) log V).",
        "The invariant: all {subject} before the pointer are final.",
        "Ties on the {field} are broken by position, so the result is unique.",
        "The loop ends, as the distance to the bound falls in each turn.",
    ),
    Domain.EXPLANATION: (
        "Start from one concrete case: three {subject} with the same {field}.",
        "Then name what stays the same in each step: that is the rule.",
        "Contrast it with the obvious way, and show the input on which that one fails.",
        "Count the work: how often is each of the {subject} touched?",
        "Say where the idea ends: with a {field} that is not ordered it does not hold.",
        "Draw the state before and after; only one pointer has moved.",
        "Close with the question that the reader should now be able to answer.",
    ),
    Domain.TESTING: (
        "One test for each rule about the {field}, named by the rule.",
        "Use a fixture that builds the {subject} afresh, so that tests do not share state.",
        "Parametrise over the boundaries: none, one, two and many {subject}.",
        "Seed the random {field}, and print the seed when a test fails.",
        "Assert the whole result and not only its length.",
        "Add a property: `{name}` of a shuffled input equals `{name}` of the input.",
        "Break the code once and see the tests fail.",
    ),
    Domain.DATA: (
        "Filter the {subject} before the join, so that the planner reads fewer rows.",
        "Use a window partitioned by {field} in place of a self-join.",
        "Decide what NULL means for the {field}: here it is left out of the average.",
        "Break ties by the key, so that the query gives the same rows each time.",
        "An index on ({field}, id) serves both the filter and the order.",
        "Count rows before and after: the migration keeps each one.",
        "Cast the {field} once, in the innermost query.",
    ),
}

VAGUE_STEPS: tuple[str, ...] = (
    "Then somehow bring the {subject} into the right order.",
    "Assume that the {field} is always there.",
    "Ignore the odd cases for now.",
    "Loop over everything a few times until it looks right.",
    "It should be fine to catch every exception here.",
    "The rest is probably clear.",
    "Hopefully the {argument} are small.",
    "Copy the same block for the other {field}.",
    "Whatever is left over can be dropped.",
)

EDGE_CASES: tuple[EdgeCase, ...] = (
    EdgeCase("An empty input gives an empty result.", "    if not {argument}:\n        return []\n"),
    EdgeCase(
        "Entries without a {field} are left out.",
        '    {argument} = [item for item in {argument} if item.get("{field}") is not None]\n',
    ),
    EdgeCase(
        "A negative {field} is refused, with the entry's position.",
        "    for place, item in enumerate({argument}):\n"
        '        if item["{field}"] < 0:\n            raise ValueError(f"entry {{place}}: negative {field}")\n',
    ),
    EdgeCase("A generator is taken as well as a list.", "    {argument} = list({argument})\n"),
    EdgeCase(
        "Equal {field} values keep the order of the input.",
        '    {argument} = sorted({argument}, key=lambda item: item["{field}"])\n',
    ),
    EdgeCase("One single entry passes through unchanged."),
    EdgeCase("Both ends of the range are included."),
)

PYTHON_BODIES: tuple[str, ...] = (
    "    groups: dict[str, list[dict]] = {{}}\n    for item in {argument}:\n"
    '        groups.setdefault(str(item["{field}"]), []).append(item)\n'
    "    return [max(group, key=len) for group in groups.values()]\n",
    '    heap = [(item["{field}"], place) for place, item in enumerate({argument})]\n    heapq.heapify(heap)\n'
    "    return [{argument}[heapq.heappop(heap)[1]] for _ in range(len(heap))]\n",
    "    result, current = [], None\n    for item in {argument}:\n"
    '        if current is not None and item["{field}"] <= current["{field}"]:\n'
    '            current = {{**current, "{field}": max(current["{field}"], item["{field}"])}}\n        else:\n'
    "            if current is not None:\n                result.append(current)\n            current = item\n"
    "    return result + [current] if current else result\n",
    "    best = [0] * (len({argument}) + 1)\n    for place, item in enumerate({argument}, start=1):\n"
    '        best[place] = max(best[place - 1], best[max(0, place - 2)] + item["{field}"])\n    return best[-1:]\n',
    '    seen: set[str] = set()\n    unique = []\n    for item in {argument}:\n        key = str(item["{field}"])\n'
    "        if key not in seen:\n            seen.add(key)\n            unique.append(item)\n    return unique\n",
    "    low, high = 0, len({argument})\n    while low < high:\n        middle = (low + high) // 2\n"
    '        if {argument}[middle]["{field}"] < 0:\n            low = middle + 1\n        else:\n'
    "            high = middle\n    return {argument}[low:]\n",
)

SQL_BODIES: tuple[str, ...] = (
    "SELECT {field}, COUNT(*) AS entries, SUM(amount) AS total\nFROM {argument}\nWHERE {field} IS NOT NULL\n"
    "GROUP BY {field}\nORDER BY total DESC, {field};\n",
    "WITH ranked AS (\n    SELECT *, ROW_NUMBER() OVER (PARTITION BY {field} ORDER BY created_at, id) AS place\n"
    "    FROM {argument}\n)\nSELECT * FROM ranked WHERE place = 1 ORDER BY {field};\n",
    "SELECT day, SUM(amount) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) / 7.0 AS moving\nFROM "
    "(SELECT CAST({field} AS DATE) AS day, SUM(amount) AS amount FROM {argument} GROUP BY 1) AS daily\nORDER BY day;\n",
)

PYTHON_FLAWS: tuple[str, ...] = (
    "    {argument} = {argument}[:-1]  # FIXME: loses the last entry\n",
    "    # TODO: breaks when two entries share their {field}\n",
    '    try:\n        {argument}[0]["{field}"] += 0\n    except Exception:\n        pass\n',
)
SQL_FLAWS: tuple[str, ...] = (
    "-- FIXME: counts rows twice when the join is not unique\n",
    "-- TODO: drops rows whose {field} is NULL\n",
)

TESTS: tuple[str, ...] = (
    "assert {name}([]) == []",
    'assert len({name}([{{"{field}": 1}}])) == 1',
    'assert {name}([{{"{field}": 2}}, {{"{field}": 1}}]) is not None',
    'assert {name}(iter([{{"{field}": 3}}])) == {name}([{{"{field}": 3}}])',
)

COSTS: tuple[str, ...] = (
    "Time is O(n log n) and memory O(n).",
    "One pass: O(n) time, O(k) memory for k different values of {field}.",
    "The sort dominates; all else is linear.",
)

HEDGES: tuple[str, ...] = (
    "I am not sure that this covers every case.",
    "I have not run this.",
    "This may not work for a large input.",
    "You might have to adjust the details.",
)

FILLERS: tuple[str, ...] = (
    "In many code bases a routine of this kind is written more than once, each time a little differently; it pays"
    " to keep one version that everybody knows.",
    "If the {subject} change their form later, only the reading part follows; the rest speaks of the {field} alone.",
    "It is worth a look at how the caller uses the result, as names that suit the caller make the code easier to read.",
    "You can put this into a module of its own and import it where the {subject} are handled.",
    "Readability comes first here: a colleague who sees `{name}` for the first time should follow it at once.",
    "For logging, one line per batch of {subject} is enough; one per entry would drown what matters.",
    "As always, keep the version of your dependencies pinned, and note the date of the change.",
    "There are libraries that do part of this, and for a larger project it can be worth to look at one of them.",
)
