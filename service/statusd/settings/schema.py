"""What the judge is asked to look for: the schema of a table, made of its fields and their kinds.

pydantic makes the same of them, and takes a tenth of a second for it: to import what it has for all
other types, and to look at these. The kinds of our settings are few. Rule of this file: a kind that
isn't here is an error at the first start, not a value that nobody looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import reduce
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic_core import core_schema as core

from statusd.settings.values import Note

_PLAIN: Mapping[Any, Callable[[], core.CoreSchema]] = {
    str: core.str_schema,
    bool: core.bool_schema,
    int: core.int_schema,
    float: core.float_schema,
    Any: core.any_schema,
}


def of_table(table: type[Any]) -> core.CoreSchema:
    """Return the schema of a table: what each key may be, and what becomes of one that it lacks.

    Raises:
        TypeError: it has a kind of value that isn't known here.
    """
    hints = get_type_hints(table, include_extras=True)
    known = [core.dataclass_field(one.name, _or_default(one, hints)) for one in fields(table)]
    arguments = core.dataclass_args_schema(table.__name__, known)
    return core.dataclass_schema(
        table,
        arguments,
        [one.name for one in fields(table)],
        post_init=hasattr(table, "__post_init__"),
        config={"extra_fields_behavior": table.OTHERS},
    )


def _or_default(one: Field[Any], hints: Mapping[str, Any]) -> core.CoreSchema:
    schema = _of(hints[one.name])
    if one.default_factory is not MISSING:
        return core.with_default_schema(schema, default_factory=one.default_factory)
    return core.with_default_schema(schema, default=one.default)


def _of(kind: Any) -> core.CoreSchema:
    """Return the schema of one kind of value."""
    if kind in _PLAIN:
        return _PLAIN[kind]()
    if is_dataclass(kind):
        return of_table(kind)  # type: ignore[arg-type]  # the kind is a class
    if get_origin(kind) is Annotated:
        plain, *notes = get_args(kind)
        return reduce(_noted, notes, _of(plain))
    found = _of_parts(get_origin(kind), get_args(kind))
    if found is None:
        raise TypeError(f"settings: {kind} is no kind that a judge knows")
    return found


def _of_parts(origin: Any, parts: tuple[Any, ...]) -> core.CoreSchema | None:
    """Return the schema of a value of several kinds, or with parts; None for another one."""
    if origin is Literal:
        return core.literal_schema(list(parts))
    if origin is tuple and parts[-1] is ...:
        return core.tuple_schema([_of(parts[0])], variadic_item_index=0)
    if origin is tuple:
        return core.tuple_schema([*map(_of, parts)])
    if origin is dict:
        return core.dict_schema(*map(_of, parts))
    if origin in (Union, UnionType) and parts[1:] == (NoneType,):
        return core.nullable_schema(_of(parts[0]))
    return None


def _noted(schema: Any, note: object) -> Any:
    """Return a schema with what a note says of it besides."""
    if not isinstance(note, Note):
        raise TypeError(f"settings: {note!r} is no note that a judge knows")
    if note.read is not None:
        return core.no_info_before_validator_function(_writable(note.read), schema)
    if note.judge is not None:
        return core.no_info_after_validator_function(_writable(note.judge), schema)
    return schema | dict(note.narrows)


def _writable(ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the same for the core, which takes no objection that isn't UTF-8."""

    def asked(value: Any) -> Any:
        try:
            return ask(value)
        except ValueError as error:
            text = str(error).encode("utf-8", "backslashreplace").decode("utf-8")
            raise ValueError(text) from None

    return asked
