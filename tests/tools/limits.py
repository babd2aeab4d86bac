"""How big things may get in the service: ``python -m tests.tools.limits`` tells what is over it.

Read from the source alone: nothing of it is imported, so nothing of it has to work.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path("service/statusd")

MOST_ATTRIBUTES = 20
MOST_METHODS = 35
MOST_LINES = 400
MOST_LINES_UNEXPLAINED = 300
"""Above it, a line of the module's docstring begins with ``Length:`` and gives the reason."""
MOST_FUNCTION_LINES = 50
"""From its ``def`` on, without its docstring: meaning and units may take the room they need."""

EXCEPTIONS: dict[str, str] = {}
"""``file: subject`` -> why it may be over a limit for now; one that isn't over it is an error."""

_RECORDS = {
    *("NamedTuple", "TypedDict", "Protocol", "Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"),
}
"""Classes of these are lists of fields: as many as what they describe has."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef
Edges = Mapping[str, Mapping[str, int]]
"""Module -> the modules that it imports, and in which line."""


@dataclass(frozen=True, slots=True)
class Excess:
    """One thing that is over a limit: where, what, how much, and what helps."""

    file: str
    line: int
    subject: str
    measured: str
    cure: str

    @property
    def key(self) -> str:
        """What an exception is looked up by."""
        return f"{self.file}: {self.subject}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.subject} {self.measured}: {self.cure}"


def excesses(source: str, file: str) -> Iterator[Excess]:
    """Yield what in the module ``source`` is over a limit."""
    tree = ast.parse(source)
    yield from _length(tree, len(source.splitlines()), file)
    for name, node in _definitions(tree):
        if isinstance(node, ast.ClassDef):
            yield from () if _is_record(node) else _class(node, name, file)
        elif not _is_table(node):
            yield from _function(node, name, file)


def _definitions(node: ast.AST, above: str = "") -> Iterator[tuple[str, ast.ClassDef | Definition]]:
    """Yield each class and function with its name, as ``Outer.inner``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | Definition):
            name = f"{above}.{child.name}" if above else child.name
            yield name, child
            yield from _definitions(child, name)
        else:
            yield from _definitions(child, above)


def _length(tree: ast.Module, lines: int, file: str) -> Iterator[Excess]:
    if lines > MOST_LINES:
        measured = f"has {lines} lines, at most {MOST_LINES}"
        yield Excess(file, 1, "module", measured, "split it where it changes for another reason")
    elif lines > MOST_LINES_UNEXPLAINED and not _is_explained(tree):
        measured = f"has {lines} lines, at most {MOST_LINES_UNEXPLAINED} without a reason"
        cure = "split it, or say in its docstring why not, in a line `Length: ...`"
        yield Excess(file, 1, "module", measured, cure)


def _is_explained(tree: ast.Module) -> bool:
    head = (ast.get_docstring(tree) or "").splitlines()
    return any(row.startswith("Length:") and row.removeprefix("Length:").strip() for row in head)


def _function(node: Definition, name: str, file: str) -> Iterator[Excess]:
    lines = _lines(node) - sum(map(_lines, _docstring(node)))
    if lines > MOST_FUNCTION_LINES:
        measured = f"has {lines} lines, at most {MOST_FUNCTION_LINES}"
        cure = "split it by its steps, or make it the table that it hides"
        yield Excess(file, node.lineno, f"function {name}", measured, cure)


def _class(node: ast.ClassDef, name: str, file: str) -> Iterator[Excess]:
    subject = f"class {name}"
    attributes, methods = len(attributes_of(node)), len(methods_of(node))
    if attributes > MOST_ATTRIBUTES:
        measured = f"has {attributes} attributes, at most {MOST_ATTRIBUTES}"
        cure = "those that change together are a class of their own"
        yield Excess(file, node.lineno, subject, measured, cure)
    if methods > MOST_METHODS:
        measured = f"has {methods} methods, at most {MOST_METHODS}"
        cure = "those that need the same few attributes are a class of their own"
        yield Excess(file, node.lineno, subject, measured, cure)


def attributes_of(node: ast.ClassDef) -> set[str]:
    """Return the names that are assigned to on ``self``, and those that the class itself has."""
    methods = methods_of(node)
    own = {
        name.id
        for statement in node.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for name in ast.walk(statement)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    of_self = {
        found.attr
        for found in ast.walk(node)
        if isinstance(found, ast.Attribute)
        and isinstance(found.ctx, ast.Store)
        and isinstance(found.value, ast.Name)
        and found.value.id == "self"
    }
    return {name for name in own | of_self if not name.startswith("__")} - methods


def methods_of(node: ast.ClassDef) -> set[str]:
    """Return the names of its methods and properties; what is defined inside of one isn't one."""
    return {found.name for found in node.body if isinstance(found, Definition)}


def _is_record(node: ast.ClassDef) -> bool:
    return bool({_name(one) for one in node.decorator_list} & {"dataclass"}) or bool(
        {_name(one) for one in node.bases} & _RECORDS
    )


def _name(node: ast.expr) -> str:
    """Return the last name of ``a.b``, ``b(...)`` and ``b[...]``."""
    match node:
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return _name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _docstring(node: Definition) -> list[ast.stmt]:
    """Return its docstring's statement, if it has one."""
    return node.body[:1] if ast.get_docstring(node, clean=False) is not None else []


def _is_table(node: Definition) -> bool:
    """Tell whether a function is rows and nothing else.

    Its only statement, but for a docstring, returns or assigns a list, tuple, set, dict or text
    that is written out, or one call; and nothing in it loops or chooses, for then it has steps.
    """
    body = node.body[len(_docstring(node)) :]
    if len(body) != 1 or not isinstance(body[0], ast.Return | ast.Assign | ast.AnnAssign):
        return False
    value = body[0].value
    rows = ast.List | ast.Tuple | ast.Set | ast.Dict | ast.Constant | ast.JoinedStr | ast.Call
    steps = ast.comprehension | ast.Lambda | ast.Await | ast.IfExp
    return isinstance(value, rows) and not any(isinstance(i, steps) for i in ast.walk(value))


# ---- circles -------------------------------------------------------------------------------------


def circles(sources: Mapping[str, str]) -> Iterator[Excess]:
    """Yield the circles of imports among modules; one that is for types only closes none.

    An import in a function counts: it hides a circle, it doesn't open it.

    Args:
        sources: file, as ``core/status.py`` -> its text.
    """
    files = {_module(file): file for file in sources}
    edges = {
        module: {
            target: line
            for target, line in _imports(ast.parse(sources[file]), files)
            if target != module
        }
        for module, file in files.items()
    }
    while circle := _circle(edges):
        first, second = circle[0], circle[1]
        line = edges[first].pop(second)
        subject = "imports in a circle"
        measured = " -> ".join(files[module] for module in circle)
        cure = "move what both need below both"
        yield Excess(files[first], line, subject, measured, cure)


def _circle(edges: Edges) -> list[str]:
    """Return the modules of one circle, each imports the next; the first is the last as well."""
    try:
        TopologicalSorter({module: edges[module].keys() for module in sorted(edges)}).prepare()
    except CycleError as error:
        # in the order of imports: graphlib tells who comes before whom
        found: list[str] = error.args[1][::-1]
        least = found.index(min(found))
        return [*found[least:-1], *found[:least], found[least]]
    return []


def _module(file: str) -> str:
    parts = ["statusd", *Path(file).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.Module, known: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Yield each module of ours that is imported when this code runs, and the line."""
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            named = [name if name in known else f"{node.module}" for name in whole]
        else:
            continue
        yield from ((name, node.lineno) for name in named if name in known)


# ---- all of it -----------------------------------------------------------------------------------


def judge(sources: Mapping[str, str], exceptions: Mapping[str, str]) -> list[str]:
    """Return a line for each excess that no exception allows, and for each that allows none."""
    found = [one for file, text in sorted(sources.items()) for one in excesses(text, file)]
    found += circles(sources)
    stale = exceptions.keys() - {one.key for one in found}
    return [
        *(str(one) for one in found if one.key not in exceptions),
        *(f"{key}: is over no limit: take it out of EXCEPTIONS" for key in sorted(stale)),
    ]


def main() -> int:
    """Print what is over a limit; 1 if anything is."""
    sources = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in ROOT.rglob("*.py")}
    lines = judge(sources, EXCEPTIONS)
    for line in lines:
        print(f"{ROOT}/{line}")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
