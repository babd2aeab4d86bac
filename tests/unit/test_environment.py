"""`STATUSD_*`: what the environment says, and what it does to what a file says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from statusd.core.errors import ConfigError
from statusd.settings.environment import NoJson, written
from statusd.settings.load import load
from statusd.settings.models import Settings

JOB = '[worker]\ncommand = ["sleep", "9"]\n'


def loaded(text: str, environ: Mapping[str, str], folder: Path) -> Settings:
    """Return the settings of a file with that text."""
    file = folder / "a.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, environ)


def problems(text: str, environ: Mapping[str, str], folder: Path) -> list[str]:
    """Return what is wrong with it, without the folder."""
    with pytest.raises(ConfigError) as caught:
        loaded(text, environ, folder)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


SAID: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "nothing": ({"HOME": "/root"}, {}),
    "a text": ({"STATUSD_NAME": "a"}, {"name": "a"}),
    "a text that is empty": ({"STATUSD_NAME": ""}, {"name": ""}),
    "a key of a table": ({"STATUSD_REDIS__URL": "u"}, {"redis": {"url": "u"}}),
    "in lower case": ({"statusd_redis__url": "u"}, {"redis": {"url": "u"}}),
    "a number, as text": ({"STATUSD_WORKER__BUDGET": "7"}, {"worker": {"budget": "7"}}),
    "a list": ({"STATUSD_TAGS": '["a", "b"]'}, {"tags": ["a", "b"]}),
    "a list in a table": ({"STATUSD_CONTROL__CHANNELS": '["a"]'}, {"control": {"channels": ["a"]}}),
    "an empty list in a table": ({"STATUSD_CONTROL__CHANNELS": ""}, {"control": {"channels": ""}}),
    "a list that is null": ({"STATUSD_TAGS": "null"}, {}),
    "a table in a table": (
        {"STATUSD_WORKER__ENVIRONMENT": '{"A": "1"}'},
        {"worker": {"environment": {"A": "1"}}},
    ),
    "below a table in a table": (
        {"statusd_worker__signals__paused": "usr1"},
        {"worker": {"signals": {"paused": "usr1"}}},
    ),
    "a table": ({"STATUSD_REDIS": '{"url": "u"}'}, {"redis": {"url": "u"}}),
    "an empty table": ({"STATUSD_DAEMON": "{}"}, {"daemon": {}}),
    "a table in upper case": ({"STATUSD_REDIS": '{"URL": "u"}'}, {"redis": {"url": "u"}}),
    "a table, and a key of it": (
        {"STATUSD_REDIS": '{"url": "u", "username": "j"}', "STATUSD_REDIS__USERNAME": "n"},
        {"redis": {"url": "u", "username": "n"}},
    ),
    "a table that is none, and a key of it": (
        {"STATUSD_REDIS": "[1]", "STATUSD_REDIS__URL": "u"},
        {"redis": [1]},
    ),
    "what has no such key": ({"statusd_redis__foo": "1"}, {"redis": {"foo": "1"}}),
    "what may be anything, as text": (
        {"STATUSD_LIFECYCLE__STATES": '["A"]'},
        {"lifecycle": {"states": '["A"]'}},
    ),
    "below a text": ({"STATUSD_REDIS__URL__X": "1"}, {"redis": {"url": {"x": "1"}}}),
    "below a text that is there": (
        {"STATUSD_REDIS__URL": "u", "STATUSD_REDIS__URL__X": "1"},
        {"redis": {"url": "u"}},
    ),
    "below what is no table": ({"STATUSD_NAME__X": "1"}, {}),
}


@pytest.mark.parametrize(("environ", "expected"), SAID.values(), ids=SAID.keys())
def test_what_the_environment_says(environ: dict[str, str], expected: dict[str, Any]) -> None:
    """As it would stand in a file."""
    assert written(environ) == expected


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"STATUSD_TAGS": "a,b"}, "tags"),
        ({"STATUSD_TAGS": ""}, "tags"),
        ({"STATUSD_REDIS": "redis://me:hunter2@host"}, "redis"),
        ({"STATUSD_CONTROL__CHANNELS": "a"}, "control"),
        ({"STATUSD_TAGS": "[" * 100_000}, "tags"),
    ],
)
def test_what_is_no_json_is_told_without_its_content(environ: dict[str, str], key: str) -> None:
    """It may be a secret, in the wrong place."""
    with pytest.raises(NoJson) as caught:
        written(environ)

    assert (caught.value.key, str(caught.value)) == (key, key)


def test_the_environment_wins_key_by_key(tmp_path: Path) -> None:
    """What it doesn't say stays as the file has it."""
    text = JOB + '[redis]\nurl = "redis://file:1"\nusername = "u"\n'

    found = loaded(text, {"STATUSD_REDIS__URL": "redis://variable:2"}, tmp_path)

    assert (found.redis.url, found.redis.username) == ("redis://variable:2", "u")
    assert found.says("redis", "url")
    assert found.says("redis")
    assert not found.says("redis", "password")


MISTAKES = {
    "a variable that is no JSON": (
        {"STATUSD_CONTROL": "["},
        'environment: STATUSD_CONTROL (or STATUSD_CONTROL__...): a list or a table is JSON: ["a", '
        '"b"]',
    ),
    "a value": (
        {"STATUSD_WORKER__BUDGET": "many"},
        "environment: STATUSD_WORKER__BUDGET: a whole number is wanted",
    ),
    "an empty list": (
        {"STATUSD_CONTROL__CHANNELS": ""},
        'environment: STATUSD_CONTROL__CHANNELS: a list is wanted: ["..."]',
    ),
    "a table that is none": (
        {"STATUSD_REDIS": '"x"'},
        "environment: STATUSD_REDIS: a table is wanted",
    ),
    "bytes that are no text": (
        {"STATUSD_NAME": "a\udcff"},
        "environment: STATUSD_NAME: it is not UTF-8",
    ),
    "a number that is to be written as one": (
        {"STATUSD_INSTANCES": "3"},
        "environment: STATUSD_INSTANCES: a whole number is wanted",
    ),
    "a key that there isn't": (
        {"STATUSD_REDIS__URI": "x"},
        "environment: unknown variable STATUSD_REDIS__URI, did you mean STATUSD_REDIS__URL?",
    ),
    "a key that there isn't, in a table": (
        {"STATUSD_LOG": '{"leve": "debug"}'},
        "a.toml: log.leve: unknown key, did you mean level?",
    ),
}


@pytest.mark.parametrize(("environ", "problem"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_the_environment_is_named_once(
    environ: dict[str, str], problem: str, tmp_path: Path
) -> None:
    """By its variable."""
    assert problems(JOB, environ, tmp_path) == [problem]


def test_a_table_of_the_environment_over_a_lifecycle_that_is_none(tmp_path: Path) -> None:
    """It was a traceback: of the file's lifecycle, a text, no table can be made."""
    said = problems(f'lifecycle = "x"\n{JOB}', {"STATUSD_LIFECYCLE__FILE": "y"}, tmp_path)

    assert said == ["a.toml:1: lifecycle: must be a table"]
