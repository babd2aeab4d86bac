"""Tests of the layout: which room may import which, and what an import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import statusd

ROOT = Path(statusd.__file__).parent

PURE = {
    *("__future__", "abc", "collections", "dataclasses", "enum", "functools", "itertools"),
    *("operator", "types", "typing", "copy", "bisect", "heapq", "struct", "zlib", "hashlib"),
    *("unicodedata", "datetime", "difflib", "fnmatch", "json", "math", "re", "string", "textwrap"),
}
"""Modules of the standard library that do no I/O (`datetime` has a clock, which nobody reads)."""

ARROWS = {
    "core": {"core"},
    "private": {"core"},
    "reading": {"reading", "core"},
    "home": {"core"},
    "threads": {"threads", "core"},
    "scheduler": {"scheduler"},
    "environment_file": {"reading", "core"},
    "log_output": {"log_output"},
    "logs": {"logs", "log_output", "core"},
    "complaints": {"complaints"},
    "wire": {"wire", "private", "home", "reading", "core"},
    "worker": {"worker"},
    "lifecycles": {"lifecycles", "home", "reading", "core"},
    "settings": {
        *("settings", "lifecycles", "environment_file", "wire", "private", "reading", "core"),
    },
    "contract": {"contract"},
    "fleet": {"fleet", "wire", "private", "core"},
    "supervision": {
        *("supervision", "worker", "logs", "environment_file", "scheduler", "threads", "private"),
        "reading",
        "core",
    },
    "unit": {
        *("unit", "supervision", "complaints", "logs", "scheduler", "threads", "private"),
        *("reading", "wire"),
        "core",
    },
    "daemon": {
        *("daemon", "unit", "supervision", "settings", "lifecycles", "complaints", "logs"),
        *("scheduler", "threads", "worker", "wire", "private", "home", "reading", "core"),
    },
    "doctor": {"doctor", "daemon", "unit", "fleet", "settings", "web", "wire", "private", "core"},
    "web": {
        *("web", "fleet", "settings", "wire", "complaints", "logs", "threads", "reading", "core"),
    },
    "cli": {
        *("cli", "web", "doctor", "daemon", "supervision", "fleet", "settings", "lifecycles"),
        *("logs", "worker", "wire", "private", "home", "reading", "core"),
    },
    "examples": {"statusd"},
    "__main__": {"cli"},
    "statusd": {"core", "worker", "fleet"},
}
"""Room -> the rooms it may import. ``statusd`` is the package itself: nothing but lazy names."""

LIBRARIES = {
    "pydantic_core": {"settings"},
    "structlog": {"logs"},
    "transitions": {"core"},
    "dotenv": {"environment_file"},
    "hiredis": {"wire", "unit", "daemon", "doctor"},
    "pygraphviz": {"cli"},
    "prometheus_client": {"daemon"},
    "redis": {"wire", "fleet"},
    "rich": {"cli"},
    "shtab": {"cli"},
    "starlette": {"web"},
    "uvicorn": {"web"},
}
"""Library -> the rooms that may import it."""


@dataclass(frozen=True, slots=True)
class Import:
    """``module`` is imported in ``line`` of ``file``; ``for_types``: by type checkers alone."""

    file: str
    line: int
    module: str
    for_types: bool = False

    @property
    def room(self) -> str:
        """Where the import stands: the folder, or the module on the first floor."""
        first = Path(self.file).parts[0].removesuffix(".py")
        return "statusd" if first == "__init__" else first

    @property
    def target(self) -> str:
        """Which room of ours is imported; empty for a foreign module."""
        package, _, rest = self.module.partition(".")
        return (rest.partition(".")[0] or "statusd") if package == "statusd" else ""

    @property
    def library(self) -> str:
        """The foreign package, or an empty text."""
        return "" if self.target else self.module.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.room} -> {self.module}"


def imports_in(source: str, file: str) -> Iterator[Import]:
    """Yield every import of ``source``, wherever it stands."""
    tree = ast.parse(source)
    types_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for statement in branch.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        for module in _modules(node):
            yield Import(file, getattr(node, "lineno", 0), module, id(node) in types_only)


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        if module == "statusd":
            yield from (_member(alias.name) for alias in node.names)
        else:
            yield module


def _member(name: str) -> str:
    is_module = (ROOT / name).is_dir() or (ROOT / f"{name}.py").exists()
    return f"statusd.{name}" if is_module else "statusd"


@cache
def all_imports() -> list[Import]:
    """Return every import of ours."""
    return [
        found
        for path in sorted(ROOT.rglob("*.py"))
        for found in imports_in(path.read_text(), str(path.relative_to(ROOT)))
    ]


def impurities(imports: list[Import]) -> list[str]:
    """Return what the core must not import."""
    return [
        str(one)
        for one in imports
        if one.room == "core" and one.target != "core" and one.library not in PURE | {"transitions"}
    ]


def wrong_arrows(imports: list[Import]) -> list[str]:
    """Return the imports that lead from a room to one that it must not know."""
    return [
        str(one)
        for one in imports
        if (one.target and one.target not in ARROWS.get(one.room, ()))
        and not (one.room == "worker" and one.module == "statusd" and one.for_types)
    ]


def misplaced_libraries(imports: list[Import]) -> list[str]:
    """Return the imports of a library outside of its rooms."""
    return [str(one) for one in imports if one.room not in LIBRARIES.get(one.library, {one.room})]


def relative(imports: list[Import]) -> list[str]:
    """Return the relative imports, which no rule above could judge."""
    return [str(one) for one in imports if one.module.startswith(".")]


def test_the_core_is_pure() -> None:
    """The pure parts of the standard library, `transitions`, and itself."""
    assert impurities(all_imports()) == []


def test_every_arrow_points_inwards() -> None:
    """cli -> daemon -> wire -> core; the worker's side knows nobody."""
    assert wrong_arrows(all_imports()) == []


def test_every_library_stays_in_its_room() -> None:
    """Settings alone know who judges them, the core alone the state machine."""
    assert misplaced_libraries(all_imports()) == []


def test_imports_are_absolute() -> None:
    """Each says by itself where it leads."""
    assert relative(all_imports()) == []


def test_every_room_has_its_rule() -> None:
    """A new room is thought about before it is furnished."""
    assert {one.room for one in all_imports()} <= set(ARROWS)


def test_the_rules_find_what_breaks_them() -> None:
    """Wherever the import stands: in a function, for types only, by the package's own name."""
    source = "\n".join(
        [
            "import time, math",
            "def late():",
            "    from statusd.wire.link import Link",
            "if TYPE_CHECKING:",
            "    from statusd import settings, Worker",
            "import os.path",
            "from . import words",
            "from pydantic_core.core_schema import str_schema",
        ]
    )
    imports = list(imports_in(source, "core/new.py"))

    assert impurities(imports) == [
        "core/new.py:1: core -> time",
        "core/new.py:6: core -> os.path",
        "core/new.py:7: core -> .",
        "core/new.py:8: core -> pydantic_core.core_schema",
        "core/new.py:3: core -> statusd.wire.link",
        "core/new.py:5: core -> statusd.settings",
        "core/new.py:5: core -> statusd",
    ]
    assert wrong_arrows(imports) == [
        "core/new.py:3: core -> statusd.wire.link",
        "core/new.py:5: core -> statusd.settings",
        "core/new.py:5: core -> statusd",
    ]
    assert misplaced_libraries(imports) == ["core/new.py:8: core -> pydantic_core.core_schema"]
    assert relative(imports) == ["core/new.py:7: core -> ."]


def test_the_worker_may_name_the_package_for_types_alone() -> None:
    """Importing it would load what the user's process doesn't need."""
    source = "if TYPE_CHECKING:\n    from statusd import Worker\nfrom statusd import State"

    imports = list(imports_in(source, "worker/new.py"))

    assert wrong_arrows(imports) == ["worker/new.py:3: worker -> statusd"]


# ---- what an import costs ------------------------------------------------------------------------

HEAVY = {"hiredis", "pydantic", "pydantic_core", "structlog", "asyncio", "transitions", "redis"}
LEAN = HEAVY | {"typing", "json", "ctypes", "multiprocessing"}
SEND = HEAVY - {"hiredis"}
JUDGED = {"pydantic", "pydantic_core", "typing_extensions", "annotated_types", "structlog"}
"""What a daemon has no use for: its settings are judged elsewhere, its log is its own."""
JUDGED |= {"email", "zipfile", "shutil", "secrets", "platform"}

_PROGRAM = """\
import sys
sys.path[:] = sys.argv[2:]
__import__(sys.argv[1])
print(*sys.modules)
"""


def loaded_by(module: str) -> set[str]:
    """Return the top-level packages that a new interpreter has loaded after importing ``module``.

    It runs without `site`, for the .pth files of others may import what they like.
    """
    path = [str(ROOT.parent), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _PROGRAM, module, *path],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("statusd", HEAVY),
        ("statusd.worker.api", LEAN),
        ("statusd.worker.launch", LEAN),
        ("statusd.worker.function", LEAN),
        ("statusd.worker.wrapper", LEAN | {"signal", "enum"}),
        ("statusd.worker.attach", LEAN | {"subprocess", "threading", "logging", "signal"}),
        ("statusd.logs", {"rich", "pygments", "structlog"}),
        ("statusd.cli.send", SEND),
        ("statusd.cli.status", SEND),
        ("statusd.cli.watch", SEND),
        ("statusd.wire.client", {"rich", "pydantic", "structlog", "transitions"}),
        ("statusd.fleet.fleet", {"rich", "pydantic", "structlog"}),
        ("statusd.daemon.judging", HEAVY | {"rich", "tomllib", "pathlib"}),
        ("statusd.daemon.daemon", JUDGED | {"redis"}),
        ("statusd.daemon.wiring", JUDGED | {"redis", "rich"}),
        ("statusd.cli.run", JUDGED | {"redis", "rich"}),
        ("statusd.daemon.attached", JUDGED | {"redis", "rich"}),
        ("statusd.settings.judge", HEAVY - {"pydantic_core"}),
        ("statusd.settings.load", JUDGED),
        ("statusd.settings.folder", JUDGED),
        ("statusd.daemon.embedded", {"redis"}),
        ("statusd.cli.health", SEND | {"ssl", "tomllib", "rich", "subprocess", "hiredis"}),
    ],
)
def test_an_import_loads_nothing_heavy(module: str, heavy: set[str]) -> None:
    """The user's process pays for the worker's side only, and `send` answers at once."""
    loaded = loaded_by(module)

    assert "statusd" in loaded
    assert loaded & heavy == set()
