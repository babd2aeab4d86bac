"""What a worker couldn't be started with: told by `statusd check`, and by `statusd run` at once.

Nothing is run for it. What may come later (a password, a certificate) is no mistake here.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import find_spec
from itertools import accumulate, chain
from pathlib import Path

from statusd.core.suggestions import nearest
from statusd.lifecycles.load import Source, module_places
from statusd.settings.folder import Folder, FolderUnit, of_instances
from statusd.settings.models import Settings
from statusd.worker.callee import Callee
from statusd.worker.unexecutable import found, objection

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

OURS = "statusd"
"""The module that no job can be, for it is in each worker's process already."""


def mistakes(settings: Settings, file: Path | None) -> Iterator[str]:
    """Yield why the worker can't be started, with the place in ``file`` and the cure."""
    return mistakes_in(settings, Source(file))


def mistakes_in(settings: Settings, source: Source) -> Iterator[str]:
    """Yield the same, with the place as ``source`` knows it: in the file, or what it shares."""
    yield from _of_program(settings, source)
    yield from _of_function(settings, source)


def mistakes_of(folder: Folder) -> list[str]:
    """Return why workers of a folder can't be started: once, not once an instance."""
    return once(folder, lambda unit: mistakes_in(unit.settings, unit.source))


def once(folder: Folder, look: Callable[[FolderUnit], Iterable[str]]) -> list[str]:
    """Return what ``look`` says of the units of a folder, file by file, each thing once."""
    faults: dict[Path, list[list[str]]] = {}
    for unit in sorted(folder.units, key=lambda unit: (unit.file, unit.instance)):
        faults.setdefault(unit.file, []).append([*look(unit)])
    return list(dict.fromkeys(chain.from_iterable(map(of_instances, faults.values()))))


def _of_program(settings: Settings, source: Source) -> Iterator[str]:
    """Yield what is wrong with the program, or with the interpreter of a function."""
    worker = settings.worker
    directory = source.resolve(worker.directory) if worker.directory else Path.cwd()
    if not directory.is_dir():
        yield f"{source.place(('worker', 'directory'))}: {directory}: no such directory"
        return
    program = worker.command[0] if worker.command else worker.python
    if not program:
        return
    path = worker.environment.get("PATH", os.environ.get("PATH"))
    base = source.resolve("") if worker.python else directory
    chosen = str(base / program) if "/" in program else program
    executable = found(chosen, path)
    key = "command" if worker.command else "python"
    there = executable or (chosen if "/" in program and os.path.isfile(chosen) else "")
    fault = objection(there, shown=program if "/" in program else there, path=path)
    if there and fault:
        yield f"{source.place(('worker', key))}: {program}: {fault}"
    elif executable is None:
        where = f" in {base}" if "/" in program and not os.path.isabs(program) else ""
        text = f"{program}: no such program{where or ' in PATH'}"
        yield f"{source.place(('worker', key))}: {text}"


def _of_function(settings: Settings, source: Source) -> Iterator[str]:
    """Yield why the function can't be called, as far as that is seen without running its module."""
    worker = settings.worker
    module, _, name = worker.function.partition(":")
    if not module or worker.python:  # another interpreter has its own modules
        return
    place = source.place(("worker", "function"))
    directory = [str(source.resolve(worker.directory))] if worker.directory else []
    places = [*directory, *module_places(source.file)]
    if module.partition(".")[0] == OURS and not _is_ours(module):
        yield f"{place}: {OURS} is our own package, and what its worker imports: rename your file"
        return
    code, where = _source_of(module, [*places, *sys.path])
    if where is None:
        yield f"{place}: no module {module} in {', '.join(places)}, nor installed"
        return
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        yield f"{where}:{error.lineno}: {error.msg}"
        return
    names, first = _top_names(tree), name.partition(".")[0]
    if names and first not in names:
        near = nearest(first, tuple(names))
        yield f"{place}: {where} has no {first}{f', did you mean {near}?' if near else ''}"
    elif (defined := _definition(tree, name)) and (why := callee(defined).objection()):
        yield f"{where}:{defined.lineno}: {why}"


def _is_ours(module: str) -> bool:
    """Tell whether it is a module of our package, below it."""
    try:
        return module != OURS and find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _source_of(module: str, places: list[str]) -> tuple[str, str | None]:
    """Return a module's text and file: no text if it isn't Python, no file if there is none."""
    path: list[str] | None = places
    spec = None
    for name in accumulate(module.split("."), "{}.{}".format):
        spec = PathFinder.find_spec(name, path) if path else None
        if spec is None and name == module.partition(".")[0]:
            spec = find_spec(name)  # also what an editable installation has its own finder for
        if spec is None:
            return "", None
        path = list(spec.submodule_search_locations or ())
    assert spec is not None
    if not isinstance(spec.loader, SourceFileLoader):
        return "", str(spec.origin)
    return spec.loader.get_source(spec.name) or "", str(spec.origin)


def _top_names(tree: ast.Module) -> set[str]:
    """Return what a module defines; nothing if that can't be told (``from x import *``)."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Import(names=found) | ast.ImportFrom(names=found):
                if any(alias.name == "*" for alias in found):
                    return set()
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in found}
    return names


def _definition(tree: ast.Module, name: str) -> Definition | None:
    """Return what a module defines by that name, if it does so once, plainly and undecorated."""
    there = [
        node
        for node in _of_module(tree)
        if (isinstance(node, Definition) and node.name == name)
        or (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store))
        or (isinstance(node, ast.alias) and name in (node.asname, node.name))
    ]
    if len(there) != 1 or there[0] not in tree.body:
        return None
    (only,) = there
    return only if isinstance(only, Definition) and not only.decorator_list else None


def _of_module(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in a module itself, and not inside of a function or class."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, Definition | ast.Lambda):
            yield from _of_module(child)


def callee(node: Definition) -> Callee:
    """Return what its text tells of something that is to be called."""
    if isinstance(node, ast.ClassDef):
        return Callee(node.name, "a class")
    args = node.args
    by_position = len(args.posonlyargs) + len(args.args)
    optional = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    return Callee(
        node.name,
        "generator" if _yields(node) else "function",
        least=by_position - len(args.defaults),
        most=float("inf") if args.vararg else by_position,
        needs=[argument.arg for argument, default in optional if default is None],
        is_async=isinstance(node, ast.AsyncFunctionDef),
    )


def _yields(node: ast.AST) -> bool:
    """Tell whether a yield belongs to the function itself, not to one inside of it."""
    return any(isinstance(child, ast.Yield | ast.YieldFrom) for child in _of_module(node))
