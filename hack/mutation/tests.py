"""Which tests reach which lines: the suite, run once under a tracer; and parts of it, in a process of their own."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, settings

# No test needs another process's cache, and none may leave one behind; what fails need not be made small.
OPTIONS = (
    "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout=60",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",  # of plugins: hypothesis is imported before pytest runs
)  # fmt: skip
MAX_CALLS = 50  # of one function in one test that are followed line by line: more take long and show little
PROFILE = settings(derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate))


class Reached(NamedTuple):
    """What the tests do in a source tree.

    Attributes:
        lines: of each file, by line: numbers of the tests that run it; not what runs at import alone.
        tests: id and seconds of each test, by its number.
    """

    lines: dict[str, dict[int, list[int]]]
    tests: list[tuple[str, float]]

    def of(self, path: Path, line: int) -> list[tuple[str, float]]:
        """The tests that can notice a change in this line, the fastest first.

        A line that runs at import alone can be noticed by whoever uses the package.
        """
        numbers = set(self.lines.get(str(path), {}).get(line, ()))
        if not numbers:
            package = f"{path.parent}{os.sep}"
            used = (lines for name, lines in self.lines.items() if name.startswith(package))
            numbers = {number for lines in used for tests in lines.values() for number in tests}
        return sorted((self.tests[number] for number in numbers), key=lambda test: (test[1], test[0]))


def digest_of(paths: Sequence[Path]) -> str:
    """A digest of all Python and YAML under these folders."""
    files = sorted(file for path in paths for suffix in ("py", "yaml") for file in path.rglob(f"*.{suffix}"))
    return hashlib.sha256(b"".join(f"{file}\0".encode() + file.read_bytes() for file in files)).hexdigest()


def look(folders: Sequence[Path], sources: Sequence[Path], output: Path) -> int:
    """Run all tests of some folders under a tracer, and write what those that pass reach; pytest's exit code."""
    tracer = _Tracer([str(source.resolve()) for source in sources])
    _use_profile()
    code = pytest.main([*map(str, folders), *OPTIONS], plugins=[tracer])
    output.write_text(json.dumps({"lines": tracer.table(), "tests": tracer.tests}))
    return int(code)


def read(output: Path) -> Reached:
    """What `look` wrote."""
    document = json.loads(output.read_text())
    lines = {path: {int(line): tests for line, tests in of.items()} for path, of in document["lines"].items()}
    return Reached(lines, [(name, seconds) for name, seconds in document["tests"]])


def put_in_place(path: Path, source: str) -> None:
    """From here on a module has another source. This process must have imported nothing of the project yet."""
    sys.meta_path.insert(0, _InItsPlace(path, source))


def run_tests(tests: Sequence[str]) -> int:
    """Run tests in this order until one fails; 0: none did, or none is there any more."""
    _use_profile()
    files = list(dict.fromkeys(name.partition("::")[0] for name in tests))
    code = pytest.main([*files, *OPTIONS, "-x"], plugins=[_Chosen(tests)])
    return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else int(code)


def _use_profile() -> None:
    settings.register_profile("faults", PROFILE)
    os.environ["HYPOTHESIS_PROFILE"] = "faults"  # tests/conftest.py loads it


class _Chosen:
    """Of what is collected, these tests in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._place = {name: place for place, name in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self._place), key=lambda item: self._place[item.nodeid])


class _InItsPlace(importlib.machinery.PathFinder):
    """Finds modules where they are, but gives one of them another source."""

    def __init__(self, path: Path, source: str) -> None:
        self._path, self._source = str(path.resolve()), source

    def find_spec(  # type: ignore[override]  # an instance's, not the class's
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin == self._path:
            spec.loader = _Loader(fullname, self._path, self._source)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles a text that is not the file's, and keeps nothing of it."""

    def __init__(self, fullname: str, path: str, source: str) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        """The text, compiled."""
        code = compile(self._source, self.path, "exec", dont_inherit=True)
        assert isinstance(code, CodeType)
        return code


class _Tracer:
    """Notes the lines of some folders that each test runs."""

    def __init__(self, folders: list[str]) -> None:
        self._folders = tuple(f"{folder}{os.sep}" for folder in folders)
        self._lines: dict[str, dict[int, set[int]]] = {}
        self._here: dict[str, set[int]] = {}
        self._calls = Counter[CodeType]()
        self._seconds, self._passed = 0.0, True
        self.tests: list[tuple[str, float]] = []

    def table(self) -> dict[str, dict[int, list[int]]]:
        """Numbers of tests by line and file, files relative to the current folder."""
        return {
            os.path.relpath(path): {line: sorted(tests) for line, tests in sorted(lines.items())}
            for path, lines in sorted(self._lines.items())
        }

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._here = {}
        self._calls.clear()
        sys.settrace(self._called)
        threading.settrace(self._called)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            if self._passed:
                self._note(item.nodeid)

    def _note(self, test: str) -> None:
        for path, lines in self._here.items():
            of = self._lines.setdefault(path, {})
            for line in lines:
                of.setdefault(line, set()).add(len(self.tests))
        self.tests.append((test, self._seconds))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "setup":
            self._seconds, self._passed = 0.0, True
        self._seconds += report.duration
        self._passed &= report.passed

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        path = frame.f_code.co_filename
        if not path.startswith(self._folders) or frame.f_code.co_name == "<module>":
            return None
        self._calls[frame.f_code] += 1
        if self._calls[frame.f_code] > MAX_CALLS:
            return None
        lines = self._here.setdefault(path, set())

        def ran(frame: FrameType, event: str, argument: Any) -> Any:
            lines.add(frame.f_lineno)
            return ran

        return ran(frame, event, argument)
