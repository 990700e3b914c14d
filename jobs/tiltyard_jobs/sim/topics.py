"""The words that instructions are made of. A name in braces is a slot, filled from the bank of that name.

Each kind of task has its openings, situations and demands; demands are what makes an instruction hard.
"""

from __future__ import annotations

from tiltyard_jobs.sim.domains import Domain


def _bank(text: str) -> tuple[str, ...]:
    """Words and phrases set apart by semicolons."""
    return tuple(" ".join(part.split()) for part in text.split(";"))


SLOTS: dict[str, tuple[str, ...]] = {
    "thing": _bank("""
        invoices; sensor readings; log lines; train departures; library loans; chess moves; parking tickets; recipe
        steps; bank transfers; weather reports; support tickets; parcel scans; playlist tracks; exam results; flight
        legs; warehouse bins; meter values; hotel bookings; news headlines; payment retries; robot waypoints; gene
        labels; bus stops; museum objects; build artifacts; mail headers; patient visits; auction bids; crossword
        clues; solar panels; ferry tickets; language lessons; bike rentals; election ballots; telescope frames; garden
        plots; film reviews; phone contacts; tax brackets; radio beacons
    """),
    "field": _bank("""
        timestamp; amount; status; priority; owner; currency; region; duration; checksum; category; latitude; version;
        weight; postcode; quantity; expiry date; serial number; score; language; retry count; distance; temperature;
        tag list; parent id
    """),
    "place": _bank("""
        a message queue consumer; a nightly batch job; a mobile game backend; a hospital dashboard; a command-line
        importer; a small web shop; an embedded controller; a school timetable planner; a payment gateway; a map
        viewer; a chat bot; a static site generator; a file synchroniser; a fraud monitor; a photo archive; a
        spreadsheet add-in; a ticket machine; a crawler; a model registry; a greenhouse controller; a podcast player;
        a plotting notebook; a city bike app; a compiler front end
    """),
    "format": _bank("""
        JSON lines; CSV with quoted fields; a fixed-width text file; YAML documents; a binary log; INI files; Markdown
        tables; TOML; XML fragments; newline-separated records; a zip archive of text files; protocol buffers; HTTP
        headers; syslog messages
    """),
    "structure": _bank("""
        a trie; a binary heap; an interval tree; a disjoint set; a skip list; a segment tree; a ring buffer; a bloom
        filter; a suffix array; an LRU cache; a directed acyclic graph; a sparse matrix; a priority queue; a rope; a
        Fenwick tree; a hash ring; a quadtree; a min-max stack
    """),
    "operation": _bank("""
        merges overlapping ranges of; groups and counts; validates and normalises; finds the first gap in; computes a
        rolling median over; removes near duplicates from; pages through; sorts stably; makes balanced batches of;
        finds the longest run in; rates and limits; matches pairs of; diffs two versions of;
        schedules;
        compresses; samples uniformly from; replays; anonymises; ranks; partitions; interpolates missing;
        detects outliers in
    """),
    "symptom": _bank("""
        returns one item too few; raises KeyError for old records; hangs when the input is empty; gives another total
        each run; loses the last line of a file; counts midnight twice; doubles every negative amount; reports success
        although nothing was written; crashes on names with an umlaut; keeps growing in memory; swaps two neighbouring
        entries; ignores the time zone; fails only on the second call; rounds cents the wrong way; skips leap days;
        closes the connection too early; treats zero as missing; never reaches the else branch
    """),
    "smell": _bank("""
        four nested loops; a dozen boolean flags; the same block copied five times; a global dictionary; one function
        of three hundred lines; string comparisons for types; a chain of elif branches; repeated parsing of the same
        text; hidden writes to its arguments; magic numbers everywhere; a class that only holds static methods;
        quadratic string concatenation
    """),
    "concept": _bank("""
        how a hash table resolves collisions; what the global interpreter lock protects; why floats do not add up; how
        a B-tree keeps its balance; what happens at an await; how garbage collection finds cycles; what a closure
        captures; how two-phase commit can block; why quicksort is fast in practice; what an isolation level promises;
        how a generator keeps its state; what makes a function pure; how optimistic locking works; why UTF-8 is
        self-synchronising; how a bloom filter errs; what consistent hashing moves; how a decorator wraps a function;
        what a memory barrier orders; how tail latency adds up; why immutability helps caching; how a parser recovers
        from errors; what a foreign key costs on delete; how copy-on-write saves memory; what a vector clock tells
    """),
    "reader": _bank("""
        a newcomer to programming; a colleague from the data team; a student before an exam; a product manager; an
        engineer who knows only C; a reviewer in a hurry; a class of fifteen-year-olds; a new team member
    """),
    "statistic": _bank("""
        the monthly total; a seven-day moving average; the second highest value; the share of late entries; the median
        gap; the first and the last entry; a running balance; the ten most frequent values; the rank within its group;
        the change to the week before; cohorts by first month; the longest streak
    """),
    "engine": _bank("""
        PostgreSQL; SQLite; MariaDB; standard SQL; DuckDB with SQL
    """),
    "number": _bank("""
        3; 12; 64; 100; 500; 1,000; 10,000; 250,000; two million; forty million
    """),
    "name": _bank("""
        collect; rebalance; summarise; next_slot; load_all; settle; fold_rows; pick_best; apply_rules; scan; allocate;
        resolve; trim_window; read_pages; assign; dispatch
    """),
    "argument": _bank("""
        items; records; entries; values; events; batch; pairs; lines
    """),
}

OPENINGS: dict[Domain, tuple[str, ...]] = {
    Domain.GENERATION: (
        "Write a Python function that {operation} {thing} read from {format}.",
        "Implement a small class for {place} that {operation} {thing} by {field}.",
        "Build a command-line script which {operation} {thing} and prints {statistic} of their {field}.",
        "Create a Python module that converts {thing} from {format} to {format} and keeps the {field}.",
        "Develop a service endpoint for {place} which {operation} {thing} and returns their {field} and {field}.",
        "Can you write a function named `{name}` that {operation} {thing}, given as a list of dictionaries with"
        " {field} and {field}?",
    ),
    Domain.DEBUGGING: (
        "Debug this function from {place}: it {symptom} when it handles {thing}.",
        "Fix the bug in my code below. It should work on the {field} of {thing}, but it {symptom}.",
        "What is wrong with `{name}`? For {thing} in {format} it {symptom}.",
        "Our code for {place} {symptom} since we added the {field}. Find the root cause and fix it.",
        "The following loop over {thing} {symptom}; with {number} entries it also {symptom}. Fix this.",
    ),
    Domain.REFACTORING: (
        "Refactor this code from {place}; it has {smell} and handles the {field} of {thing}.",
        "Speed up the function `{name}`: with {number} {thing} it is far too slow because of {smell}.",
        "Clean up this legacy routine for {thing}, which suffers from {smell}, so that the {field} is computed once.",
        "Rewrite this function to be readable: it mixes parsing {format} with {smell}.",
        "Optimise the code of {place}: {smell} makes it slow to order {thing} by {field}.",
    ),
    Domain.ALGORITHMS: (
        "Design an algorithm that {operation} {thing}, using {structure}.",
        "Implement {structure}, as a data structure for {thing} with insert, delete and a search by {field}.",
        "Given {number} {thing} with a {field} and a {field}, find by dynamic programming the best subset whose total"
        " {field} is bounded.",
        "Find the shortest path between two {thing} in a graph whose edges carry a {field}; {structure} may help.",
        "Which data structure answers range queries over the {field} of {thing}? Implement it with {structure}.",
        "Count the permutations of {thing} in which no two neighbours share their {field}, and give the algorithm.",
    ),
    Domain.EXPLANATION: (
        "Explain {concept} to {reader}, with {thing} as the example.",
        "Walk me through {concept}; I met it in {place} and could not follow the part about the {field}.",
        "Describe how you would teach {concept} to {reader}, starting from {thing} and their {field}.",
        "Explain what this function does for {thing} and why it needs {structure}.",
        "Compare {structure} with {structure} for keeping {thing} by {field}, and explain the trade-offs to {reader}.",
    ),
    Domain.TESTING: (
        "Write unit tests with pytest for a function that {operation} {thing} by {field}.",
        "Write a test suite for {place}: it {operation} {thing} which come as {format}.",
        "Write property-based tests for {structure} that stores {thing} by {field}.",
        "Our test of `{name}` is flaky: it uses {thing} with a random {field}. Write tests which are stable.",
        "Propose a test plan with test cases for a parser of {format} that reads {thing} with a {field}.",
    ),
    Domain.DATA: (
        "Write an SQL query for {engine} that gives {statistic} of {thing} by {field}.",
        "Given a table of {thing} with columns for {field}, {field} and {field}, compute {statistic} with {engine}.",
        "Design a schema for {thing} in {engine} and a query for {statistic} by {field}.",
        "With {engine}, join {thing} to their {field} history and aggregate {statistic} by {field}.",
        "Write a migration for {engine} that splits the {field} column of {thing}, and a query that checks it.",
    ),
}

SITUATIONS: tuple[str, ...] = (
    "It runs inside {place} and sees about {number} {thing} an hour.",
    "The input arrives as {format}, and the {field} may be missing.",
    "We already keep {structure} of {thing}, so you can use it.",
    "Two teams read the result: one wants the {field}, the other {statistic}.",
    "The data comes from {place}, where the {field} is often wrong.",
    "For example, {number} {thing} with the same {field} arrive at once.",
    "I am new to this code base and {place} depends on it.",
    "Last week it was changed to read {format} instead of {format}.",
    "Most {thing} have a {field}, but about {number} do not.",
    "The output goes to {place} as {format}.",
)

DEMANDS: tuple[str, ...] = (
    "It must handle an empty input and {thing} without a {field}.",
    "Use at most {number} kilobytes of memory beyond the input.",
    "It must run in O(n log n) for {number} {thing}.",
    "Do it without any third-party library, and never change the caller's {thing}.",
    "The result must be the same for an equal {field}, whatever the order of the {thing}.",
    "Concurrent writers may add {thing} at any time.",
    "Each of the {thing} must be processed exactly once, even after a crash in {place}.",
    "Guarantee that the {field} never decreases.",
    "It must be thread-safe, as {place} calls it from {number} workers.",
    "Support streaming: the {thing} do not fit into memory.",
    "State the worst case for {number} {thing} that share one {field}.",
    "Prove that your solution ends when the {field} is part of a cycle.",
    "Reject {thing} whose {field} is negative without stopping the batch.",
    "A second call with the same {thing} must be idempotent.",
    "Avoid deadlocks between the reader of {format} and the writer of the {field}.",
    "Name the invariant that keeps the {field} and the {field} in step.",
    "It must work for entries before 1970 and for a {field} in any unit.",
    "Apply back pressure when {place} falls behind by {number} {thing}.",
    "Errors must name the line of {format} and the {field} at fault.",
    "Make no more than {number} calls to {place}.",
)

CLOSINGS: tuple[str, ...] = (
    "Give a short example.",
    "Show how you would call it.",
    "Keep the answer to one file.",
    "Add type hints, please.",
    "Tell me what you assumed about the {field}.",
    "Please explain each step.",
    "Comment only what is not obvious.",
    "Show the output for three {thing}.",
    "Name one alternative.",
)

SNIPPETS: tuple[str, ...] = (
    "def {name}({argument}):\n    total = 0\n    for i in range(len({argument})):\n        if {argument}[i]"
    ' != None:\n            total += {argument}[i]["value"]\n    return total / len({argument})',
    "def {name}({argument}, seen=[]):\n    for item in {argument}:\n        if item not in seen:\n"
    "            seen.append(item)\n    return sorted(seen)",
    "def {name}({argument}):\n    result = {}\n    for entry in {argument}:\n        key = entry.get('key')\n"
    "        result[key] = result.get(key, 0) + 1\n        if result[key] > 1:\n            {argument}.remove(entry)\n"
    "    return result",
    "class Store:\n    def {name}(self, {argument}):\n        out = ''\n        for part in {argument}:\n"
    "            out = out + str(part) + ','\n        self.last = out\n        return out[:-1]",
    "def {name}({argument}):\n    while True:\n        batch = {argument}[:100]\n"
    "        {argument} = {argument}[100:]\n        yield batch\n        if len(batch) < 100:\n            break",
    "def {name}({argument}):\n    lo, hi = 0, len({argument})\n    while lo < hi:\n        mid = (lo + hi) // 2\n"
    "        if {argument}[mid] < 0:\n            lo = mid\n        else:\n            hi = mid\n    return lo",
)
WITH_SNIPPET: tuple[str, ...] = (
    "this function",
    "this code",
    "code below",
    "following loop",
    "legacy routine",
    "wrong with `",
    "the function `",
    "test of `",
)
"""Openings with one of these words come with a piece of code."""

POLITE: tuple[str, ...] = ("Please help: ", "Hi! ", "Hello, I have a question. ", "For a side project: ", "Quick one: ")

JUNK: tuple[str, ...] = (
    "",
    "\n\n",
    "Hello",
    "Thanks, that worked!",
    "ok",
    "Sure! Here is the code you asked for, it reads {thing} and",
    "As a helpful assistant I can answer questions about {thing}",
    '<div class="post"><p>{thing}</p><a href="#">{field}</a></div>',
    "| {field} | {field} |\n|---|---|\n| {number} | {number} |",
    "Write a function that takes {thing} and for each {field} it shou",
    "1. {thing}\n2. {thing}\n3. {field}\n4",
    "\u4f60\u597d",
)
