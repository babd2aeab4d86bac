"""The README's tables hold what the code holds, no more and no less; its links lead somewhere."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from statusd.cli import VERBS
from statusd.core.answers import Answer
from statusd.core.lifecycle import BUILT_IN, Who
from statusd.settings.models import Settings
from statusd.wire.names import Names
from statusd.worker.api import Worker

README = Path("README.md").read_text(encoding="utf-8")
SIGNALS = {129, 130, 141, 143}
"""128 and the numbers of SIGHUP, SIGINT, SIGPIPE and SIGTERM: shells say it like that."""


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under ``heading``, without its head."""
    section = re.split(r"^## ", README, flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(f"{heading}\n"))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


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
    for keys, defaults, *_ in rows("Settings"):
        names, values = quoted(keys), quoted(defaults)
        for name, value in zip(names, values * len(names) if len(values) == 1 else values):  # noqa: B905 - one default for all
            assert name not in told
            told[name] = tomllib.loads(f"x = {value}")["x"]
    expected = settings(Settings().model_dump(mode="json"))
    expected["worker.umask"] = ""  # -1 inside: ours

    assert told == expected


def test_every_name_in_redis_is_there() -> None:
    """As wire/names.py makes them, for a unit called counter."""
    names = Names("statusd", "counter")
    made = {
        str(getattr(names, key))
        for key, value in vars(Names).items()
        if isinstance(value, property)
    }

    assert {name for cells in rows("Names in Redis") for name in quoted(cells[0])} == made


def test_every_exit_code_is_there() -> None:
    """All constants EXIT_... of the code, and the signals."""
    told = {int(code) for cells in rows("Exit codes") for code in re.findall(r"\d+", cells[0])}
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
    told = [quoted(cells[0])[0].split()[1] for cells in rows("Verbs")]

    assert told == list(VERBS)


def test_every_word_state_and_verdict_is_there() -> None:
    """Of the built-in lifecycle; `denied` is nobody's yet."""
    words = {word for cells in rows("Words") for word in quoted(cells[0])}
    triggers = {row.trigger for row in BUILT_IN.rows if Who.ANYONE in row.who}
    states = {state.name for state in BUILT_IN.members()}
    verdicts = {verdict for cells in rows("Answers") for verdict in quoted(cells[0])}

    assert triggers | {"force", "status", "ping"} <= words
    assert states <= {cells[0] for cells in rows("Words")}
    assert verdicts == {answer.value for answer in Answer} - {"denied"}


def test_everything_that_a_worker_knows_is_there() -> None:
    """The public names of `Worker`."""
    told = {
        name.split(".")[1].partition("(")[0]
        for cells in rows("Your own job")
        for name in quoted(cells[0])
        if name.startswith(("worker.", "."))
    }
    public = {name for name in vars(Worker) if not name.startswith("_")}

    assert told == public


PAGES = ["README.md", *map(str, sorted(Path("docs").glob("*.md"))), "examples/README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    """To a file that is there, or a heading on the same page."""
    text = Path(page).read_text(encoding="utf-8")
    heads = {
        re.sub(r"[^\w -]", "", head).lower().replace(" ", "-")
        for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in heads
        elif "://" not in target:
            assert (Path(page).parent / target.partition("#")[0]).exists(), target
