"""Small faults that can be planted in a Python source, found in its syntax tree, each as a change of the text."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
WORD = re.compile(r"\S{1,60}")  # a name, a path, a reason: what code reads; a sentence is for people


class Fault(NamedTuple):
    """One change of one file.

    Attributes:
        path: the file.
        line: where the code that changes begins, from 1.
        kind: what sort of change, in a word or two.
        start: first character of the text that is replaced.
        end: the one after its last.
        text: what stands there instead.
    """

    path: Path
    line: int
    kind: str
    start: int
    end: int
    text: str

    def applied(self) -> str:
        """The source with the fault in it."""
        source = self.path.read_text(encoding="utf-8")
        return source[: self.start] + self.text + source[self.end :]

    def diff(self) -> str:
        """The fault as a unified diff without context."""
        before, after = self.path.read_text(encoding="utf-8").splitlines(), self.applied().splitlines()
        return "\n".join(list(difflib.unified_diff(before, after, lineterm="", n=0))[2:])


def faults_in(path: Path) -> list[Fault]:
    """All faults that can be planted in a file, by place."""
    source = path.read_text(encoding="utf-8")
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    unique = {(fault.start, fault.end, fault.text): fault for fault in finder.found}
    return sorted(unique.values(), key=lambda fault: (fault.start, fault.end, fault.text))


class _Finder(ast.NodeVisitor):
    """Walks a module. Left alone: annotations of functions, docstrings, assertions, f-strings and sentences."""

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.found: list[Fault] = []
        # Columns of the tree count bytes.
        self._lines = source.encode().splitlines(keepends=True)
        self._offsets = [0]
        for line in self._lines:
            self._offsets.append(self._offsets[-1] + len(line.decode()))

    # -- statements

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d), *node.body):
            self.visit(part)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.body)

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass  # before Python 3.12 the places of what stands inside are not known

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING") and "__name__" not in ast.unparse(
            node.test
        ):
            self._condition(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return
        self._add(node, "drop", "pass")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._add(node, "drop", "pass")
        if (other := OPERATORS.get(type(node.op))) is not None:
            changed = ast.AugAssign(target=node.target, op=other(), value=node.value)
            self._add(node, "arithmetic", ast.unparse(changed))
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Subscript | ast.Attribute) for target in node.targets):
            self._add(node, "drop", "pass")
        if not any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        for part in ast.walk(node.annotation):  # the bounds and the words of a field; what else it says is a type
            if isinstance(part, ast.Constant):
                self.visit(part)
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._add(node, "drop", "pass")  # what it says is a sentence

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self._add(node, "return nothing", "return None")
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._add(node, "break", "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add(node, "continue", "break")

    # -- expressions

    def visit_Compare(self, node: ast.Compare) -> None:
        for place, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                operators = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                changed = ast.Compare(left=node.left, ops=operators, comparators=node.comparators)
                self._add(node, "comparison", f"({ast.unparse(changed)})")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self._add(node, "and/or", f"({ast.unparse(ast.BoolOp(op=other, values=node.values))})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            self._add(node, "not" if isinstance(node.op, ast.Not) else "sign", f"({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        # What is no number has one operator alone: another one would fail at once, and tell nothing.
        other = OPERATORS.get(type(node.op))
        if other is not None and not any(_is_sequence(side) for side in (node.left, node.right)):
            changed = ast.BinOp(left=node.left, op=other(), right=node.right)
            self._add(node, "arithmetic", f"({ast.unparse(changed)})")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self._add(condition, "filter", "True")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and (other := FUNCTIONS.get(node.func.id)) is not None:
            changed = ast.Call(func=ast.Name(id=other), args=node.args, keywords=node.keywords)
            if other != "list" or not node.keywords:
                self._add(node, node.func.id, ast.unparse(changed))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._add(node, "constant", repr(not value))
        elif isinstance(value, int | float):
            self._add(node, "constant", f"({value + 1!r})")
            self._add(node, "constant", f"({value - 1!r})")
        elif isinstance(value, str) and (value == "" or WORD.fullmatch(value)):
            self._add(node, "constant", repr(f"X{value}"))

    # -- helpers

    def _condition(self, test: ast.expr) -> None:
        """A test that no other change turns round."""
        if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
            self._add(test, "condition", f"(not {ast.unparse(test)})")

    def _add(self, node: ast.stmt | ast.expr, kind: str, text: str) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = self._place(node.lineno, node.col_offset), self._place(node.end_lineno, node.end_col_offset)
        self.found.append(Fault(self.path, node.lineno, kind, start, end, text))

    def _place(self, line: int, column: int) -> int:
        return self._offsets[line - 1] + len(self._lines[line - 1][:column].decode())


def _is_sequence(node: ast.expr) -> bool:
    text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return text or isinstance(node, ast.JoinedStr | ast.List | ast.Tuple | ast.Dict | ast.ListComp)


def faults_under(paths: list[Path]) -> Iterator[Fault]:
    """Faults of all modules under files and folders, in order."""
    for path in paths:
        for module in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield from faults_in(module)
