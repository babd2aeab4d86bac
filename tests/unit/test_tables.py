"""The tables of README and docs/ hold what the code holds, no more and no less."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from statusd.cli import VERBS, parser
from statusd.core.answers import Answer
from statusd.core.lifecycle import BUILT_IN, Who
from statusd.settings.models import Settings
from statusd.settings.tables import WorkerSettings
from statusd.wire.names import Names
from statusd.worker.api import Worker
from tests.tools.pages import text
from tests.tools.settings import written

SIGNALS = {129, 130, 141, 143}
"""128 and the numbers of SIGHUP, SIGINT, SIGPIPE and SIGTERM: shells say it like that."""


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under ``heading`` of a page, without its head."""
    sections = re.split(r"^## ", text(page), flags=re.MULTILINE)
    section = next(part for part in sections if part.startswith(f"{heading}\n"))
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def firsts(page: str, heading: str) -> list[str]:
    """Return the first cell of each row of that table."""
    return [cells[0] for cells in rows(page, heading)]


def quoted(cell: str) -> list[str]:
    """Return what stands between backquotes."""
    return re.findall(r"`([^`]*)`", cell)


def settings(content: dict[str, object], above: str = "") -> dict[str, object]:
    """Return dotted key -> default."""
    found: dict[str, object] = {}
    for key, value in content.items():
        if isinstance(value, dict) and (value or key == "lifecycle"):
            found |= settings(value, f"{key}.")
        else:
            found[above + key] = value
    return found


def test_every_setting_is_there_with_its_default() -> None:
    """Each once; a default is written as in TOML."""
    told: dict[str, object] = {}
    both = rows("docs/settings.md", "Keys") + rows("docs/settings.md", "Keys of a folder")
    for keys, defaults, *_ in both:
        names, values = quoted(keys), quoted(defaults)
        for name, value in zip(names, values * len(names) if len(values) == 1 else values):  # noqa: B905 - one default for all
            assert name not in told
            told[name] = tomllib.loads(f"x = {value}")["x"]
    expected = settings(written(Settings()))
    expected["worker.umask"] = ""  # -1 inside: ours
    expected["instances"] = 0  # as many as if there were no such key
    worker = WorkerSettings()  # what three of them are depends on others
    expected["worker.stop_timeout_s"] = worker.longest_stop_s()
    expected["worker.signal_stop_timeout_s"] = worker.longest_signal_stop_s()
    expected["worker.deadline_margin_s"] = worker.margin_s()

    assert told == expected


def test_every_name_in_redis_is_there() -> None:
    """As wire/names.py makes them, for a unit called counter."""
    names = Names("statusd", "counter")
    made = {
        str(getattr(names, key))
        for key, value in vars(Names).items()
        if isinstance(value, property)
    }

    assert {
        name for cell in firsts("docs/messages.md", "Names in Redis") for name in quoted(cell)
    } == made


def test_every_exit_code_is_there() -> None:
    """All constants EXIT_... of the code, and the signals."""
    told = {
        int(code)
        for cells in rows("docs/cli.md", "Exit codes")
        for code in re.findall(r"\d+", cells[0])
    }
    codes = {
        node.value
        for path in Path("service").rglob("*.py")
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.Assign) and "EXIT_" in ast.dump(statement.targets[0])
        for node in ast.walk(statement.value)
        if isinstance(node, ast.Constant)
    }

    assert told == codes | SIGNALS


def test_every_verb_is_there() -> None:
    """In the order of `statusd --help`."""
    told = [quoted(cell)[0].split()[1] for cell in firsts("docs/cli.md", "Verbs")]

    assert told == list(VERBS)


def test_a_verb_has_the_options_that_are_told_of_it() -> None:
    """By its own parser."""
    for verb, told in rows("docs/cli.md", "Verbs"):
        options = {one for one in quoted(told) if one.startswith("-")}
        known = parser(quoted(verb)[0].split()[1]).meant.format_help()
        assert options <= set(re.findall(r"--[a-z-]+", known)), verb


def test_every_word_state_and_verdict_is_there() -> None:
    """Of the built-in lifecycle; `denied` is nobody's yet."""
    words = {word for cell in firsts("docs/messages.md", "Words") for word in quoted(cell)}
    triggers = {row.trigger for row in BUILT_IN.rows if Who.ANYONE in row.who}
    states = {state.name for state in BUILT_IN.members()}
    verdicts = {
        verdict for cell in firsts("docs/messages.md", "Answers") for verdict in quoted(cell)
    }

    assert triggers | {"force", "status", "ping"} <= words
    assert states == set(firsts("docs/messages.md", "States"))
    assert verdicts == {answer.value for answer in Answer} - {"denied"}


def test_everything_that_a_worker_knows_is_there() -> None:
    """The public names of `Worker`."""
    told = {
        name.split(".")[1].partition("(")[0]
        for cells in rows("README.md", "Your own job")
        for name in quoted(cells[0])
        if name.startswith(("worker.", "."))
    }
    public = {name for name in vars(Worker) if not name.startswith("_")}

    assert told == public
