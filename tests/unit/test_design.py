"""What must not be in the code, looked for in its source: a fault that can't come needs no cure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import statusd
from statusd.core.lifecycle import BUILT_IN
from statusd.core.machine import Model

ROOT = Path(statusd.__file__).parent

CODE_FROM_DATA = {
    *("pickle", "cPickle", "dill", "marshal", "shelve", "yaml", "jsonpickle", "cloudpickle"),
    *("eval", "exec", "compile", "__import__"),
}
SHARED = {"multiprocessing", "posix_ipc", "sysv_ipc"}
FORKS = {"os.fork", "os.forkpty", "pty.fork", "os.posix_spawn", "preexec_fn"}
THREADS = {"threading", "concurrent", "asyncio.to_thread", "_thread"}
WITH_LOCKS = [
    f"worker/{name}.py"
    for name in ("api", "async_worker", "attach", "attached", "child", "progress", "waiters")
]
"""The worker's side, where threads are the user's."""


def uses_in(source: str) -> Iterator[str]:
    """Yield what ``source`` imports, calls by a bare name, and asks of a module it imports.

    Keywords of calls are names as well: ``preexec_fn=`` is one.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module.partition(".")[0]
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.Call(func=ast.Name(id=name)):
                yield name
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                yield f"{name}.{attribute}"
            case ast.keyword(arg=str(name)):
                yield name


@cache
def uses() -> dict[str, set[str]]:
    """Return what each file of ours uses."""
    return {
        str(path.relative_to(ROOT)): set(uses_in(path.read_text(encoding="utf-8")))
        for path in sorted(ROOT.rglob("*.py"))
    }


def users_of(names: set[str]) -> dict[str, set[str]]:
    """Return the files that use any of ``names``, and what of them."""
    return {file: used & names for file, used in uses().items() if used & names}


@pytest.mark.fault("X11", "S10")
def test_nothing_foreign_becomes_code() -> None:
    """No pickle, no eval, no YAML: what comes from outside is bytes, JSON or TOML."""
    assert users_of(CODE_FROM_DATA) == {
        "__init__.py": {"__import__"},  # of names in a table
        "worker/function.py": {"__import__"},  # of the user's own function
    }


@pytest.mark.fault("W01", "W02", "W04", "W09")
def test_no_lock_is_shared_with_a_process() -> None:
    """Nothing of `multiprocessing` on either side: no lock, no event, no queue, no named memory."""
    assert users_of(SHARED) == {}


@pytest.mark.fault("W11", "W13")
def test_nothing_is_forked_without_an_exec() -> None:
    """Children are made by `subprocess` alone, and no code of ours runs before their exec."""
    assert users_of(FORKS) == {}


@pytest.mark.fault("S08")
def test_threads_only_move_bytes() -> None:
    """They write output, and read and write files; none of them has the status at hand.

    The worker's side knows of threads, for the user may have some; it starts none.
    """
    users = users_of(THREADS)

    assert users.keys() <= {
        *("supervision/output.py", "unit/state_writer.py", "threads.py"),
        *WITH_LOCKS,
    }
    for file in WITH_LOCKS:
        assert users.pop(file) == {"_thread"}
        assert "_thread.start_new_thread" not in uses()[file]
    assert [file for file in users if "statusd.core.status.Status" in uses()[file]] == []


@pytest.mark.fault("S02", "S03", "S04", "S07")
def test_the_machine_calls_nobody_but_conditions() -> None:
    """No callback before, on or after anything, and no handler of errors."""
    machine: Any = Model(BUILT_IN).machine
    ways = [way for event in machine.events.values() for rows in event.transitions.values()
            for way in rows]  # fmt: skip

    of_machine = [
        *(machine.prepare_event, machine.before_state_change, machine.after_state_change),
        *(machine.finalize_event, machine.on_exception, machine.on_final),
    ]
    of_states = [calls for s in machine.states.values() for calls in (s.on_enter, s.on_exit)]
    of_ways = [calls for way in ways for calls in (way.prepare, way.before, way.after)]

    assert len(ways) == len(BUILT_IN.rows)
    assert [calls for calls in (*of_machine, *of_states, *of_ways) if calls] == []


def test_the_rules_find_what_breaks_them() -> None:
    """However it is imported or called."""
    source = "\n".join(
        [
            "import multiprocessing.shared_memory",
            "from pickle import loads as load",
            "def late():",
            "    import os",
            "    os.fork()",
            "    subprocess.Popen([], preexec_fn=late)",
            "    eval('1')",
            "re.compile('x')",
        ]
    )

    found = set(uses_in(source))

    assert found & CODE_FROM_DATA == {"pickle", "eval"}
    assert found & SHARED == {"multiprocessing"}
    assert found & FORKS == {"os.fork", "preexec_fn"}
