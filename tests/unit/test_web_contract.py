"""`web/openapi.json` is whole: each route stands in it, each reference leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import jsonschema
import pytest

from statusd.web.access import Access
from statusd.web.app import App, Site
from statusd.web.broadcast import Broadcast
from statusd.web.gate import Gate
from statusd.web.streams import Streams
from tests.tools.contract import schema
from tests.tools.web import CONTRACT

SCHEMAS = CONTRACT["components"]["schemas"]
OPERATIONS = [
    (path, verb, operation)
    for path, item in CONTRACT["paths"].items()
    for verb, operation in item.items()
]


def routes() -> set[tuple[str, str]]:
    """Return path and method of whatever the server answers."""
    nobody: Any = None
    access = Access({}, float)
    site = Site(access, Gate(), nobody, Broadcast("ab"), nobody, Streams(access.still))
    router = cast(Any, App(site)._inside)
    return {
        (route.path.replace("{name}", "{}"), method.lower())
        for route in router.routes
        for method in route.methods - {"HEAD"}
    }


def references(value: Any) -> Iterator[str]:
    """Yield what is referred to in there."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for below in value.values():
            yield from references(below)
    elif isinstance(value, list):
        for below in value:
            yield from references(below)


def test_each_route_stands_in_it_and_nothing_else() -> None:
    """By its path and its method."""
    told = {(re.sub(r"\{\w+\}", "{}", path), verb) for path, verb, _ in OPERATIONS}

    assert told == routes()


def test_each_reference_leads_somewhere_and_each_part_is_used() -> None:
    """Nothing is left of what was once said."""
    used = set(references(CONTRACT))
    kinds = ("schemas", "responses", "parameters")
    there = {
        f"#/components/{kind}/{name}" for kind in kinds for name in CONTRACT["components"][kind]
    }

    assert used == there


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_each_schema_is_one(name: str) -> None:
    """Of the draft that OpenAPI 3.1 names."""
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def test_each_operation_says_what_it_is_and_who_may() -> None:
    """By a name of its own; what anybody gets says so, and nothing else does."""
    names = [operation["operationId"] for _, _, operation in OPERATIONS]

    assert len(set(names)) == len(names)
    for path, verb, operation in OPERATIONS:
        assert operation["summary"]
        is_open = path in ("/", "/login") or path.startswith("/static/")
        assert ("security" in operation) == is_open, (path, verb)
        assert ("401" in operation["responses"]) != is_open, (path, verb)
        assert "421" in operation["responses"], (path, verb)


@pytest.mark.parametrize(
    ("name", "kind", "part"),
    [
        ("Document", "document", None),
        *(
            (part, "document", part)
            for part in ("Death", "Ended", "Last", "Progress", "Reached", "Resources", "Stop")
        ),
        ("Worker", "document", "Worker"),
        ("Transition", "event", None),
        ("Deafness", "event", "Gap"),
        ("Lifecycle", "lifecycle", None),
        ("Node", "lifecycle", "Node"),
        ("Arrow", "lifecycle", "Arrow"),
    ],
)
def test_what_units_say_is_said_here_as_in_their_contract(
    name: str, kind: str, part: str | None
) -> None:
    """Key by key."""
    theirs = schema(kind) if part is None else schema(kind)["$defs"][part]

    assert SCHEMAS[name]["properties"].keys() == theirs["properties"].keys()
