"""The schema of settings: a kind of value that it doesn't know is an error, and not let through."""

from __future__ import annotations

from dataclasses import field, make_dataclass
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic_core import SchemaValidator, ValidationError

from statusd.settings.schema import of_table
from statusd.settings.values import within


def table(kind: Any, default: Any = None) -> type[Any]:
    """Return a table with a key of that kind."""
    others = ("OTHERS", ClassVar, field(default="forbid"))
    return make_dataclass("Table", [others, ("key", kind, field(default=default))], frozen=True)


@pytest.mark.parametrize(
    "kind",
    [
        complex,
        bytes,
        list[str],
        set[str],
        frozenset[str],
        int | str,
        int | str | None,
        tuple[bytes, ...],
        dict[str, bytes],
        Annotated[list[str], within(0, 1)],
    ],
    ids=str,
)
def test_a_kind_that_is_not_known_is_an_error(kind: Any) -> None:
    """At the first start, wherever it stands in another one."""
    with pytest.raises(TypeError, match="is no kind that a judge knows"):
        of_table(table(kind))


def test_a_note_that_is_not_known_is_an_error() -> None:
    """A limit in another library's words would be none."""
    with pytest.raises(TypeError, match="'at most 9' is no note that a judge knows"):
        of_table(table(Annotated[int, "at most 9"]))


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (Literal["a", "b"], "b", "c"),
        (tuple[int, ...], (1, 2, 3), ("a",)),
        (tuple[int, int], (1, 2), (1, 2, 3)),
        (dict[str, int], {"a": 1}, {"a": "b"}),
        (Annotated[int, within(1, 9)] | None, None, 10),
        (Annotated[int, within(1, 9, strict=True)], 9, "9"),
    ],
    ids=str,
)
def test_a_kind_that_is_known_is_looked_at(kind: Any, right: Any, wrong: Any) -> None:
    """Each of its parts; and what isn't said is as by default."""
    validator = SchemaValidator(of_table(table(kind, default="unsaid")))

    assert validator.validate_python({"key": right}).key == right
    assert validator.validate_python({}).key == "unsaid"
    with pytest.raises(ValidationError):
        validator.validate_python({"key": wrong})
