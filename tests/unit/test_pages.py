"""The pages of the documentation: nothing that the code would refuse, and no block untyped."""

from __future__ import annotations

import ast
import importlib
import itertools
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from statusd.cli import VERBS, parser
from statusd.settings.load import load
from statusd.settings.models import Settings
from tests.tools.pages import ROOT, blocks, shell_lines, text

MOST_LINES = 200
"""The README is for somebody who has five minutes."""
DOCS = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
PAGES = [
    *DOCS,
    *("systemd/README.md", "config/acl/README.md", "examples/README.md"),
    *(f"examples/{path.parent.name}/README.md" for path in (ROOT / "examples").glob("*/README.md")),
]

ENGINE = "needs a container engine: tests/ops/test_container.py has one, and its own words"
NOT_TYPED = {
    ("README.md", "pip install '.[embedded]'"): "would install a checkout into our environment",
    ("docs/containers.md", "docker build -t statusd ."): ENGINE,
    ("docs/containers.md", "openssl rand -hex 16 >config/compose/redis-password"): ENGINE,
    (
        "docs/containers.md",
        "docker run -d --name units -v ./units:/etc/statusd/units:ro "
        "-e STATUSD_REDIS__URL=redis://broker:6379/0 statusd run /etc/statusd/units",
    ): ENGINE,
    (
        "docs/containers.md",
        "docker compose -f compose.yaml -f config/compose/many.yaml up --build --detach",
    ): ENGINE,
    ("docs/containers.md", "openssl rand -hex 32 >config/compose/web-token"): ENGINE,
    (
        "docs/containers.md",
        "docker run -d --name web --read-only --cap-drop=all -p 127.0.0.1:9460:9460 "
        "-v ./web-token:/run/web-token:ro -e STATUSD_REDIS__URL=redis://broker:6379/0 "
        "-e STATUSD_WEB__TOKEN_FILE=/run/web-token --no-healthcheck statusd web "
        "--listen 0.0.0.0:9460",
    ): ENGINE,
    ("docs/web.md", "openssl rand -hex 32 >config/compose/web-token"): ENGINE,
    ("docs/running.md", "loginctl enable-linger"): "asks polkit, which the machine of tests/ops "
    "hasn't: there root does it, in tests/ops/test_user_systemd.py",
}
"""Page and first line of each block that no test types -> why; see `test_every_block_is_typed`."""


def test_the_readme_is_short() -> None:
    """What is to be looked up has a page of its own."""
    assert len(text("README.md").splitlines()) <= MOST_LINES


# ---- what is typed -------------------------------------------------------------------------------


def typed() -> set[tuple[str, ...]]:
    """Return page and first line of each block that a test asks for, by `pages.block`."""
    found = set()
    for path in sorted(ROOT.glob("tests/*/**/*.py")):
        source = path.read_text(encoding="utf-8")
        if "tests.tools.pages" in source:
            found |= asked_for(ast.parse(source))
    return found


def asked_for(tree: ast.Module) -> set[tuple[str, ...]]:
    """Return the arguments of each call of `block`: texts, or constants of the module."""
    texts: dict[str, ast.expr] = {
        ast.unparse(one.targets[0]): one.value
        for one in tree.body
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)
    }
    return {
        tuple(ast.literal_eval(texts.get(ast.unparse(one), one)) for one in node.args)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "block"
    }


def test_every_block_is_typed() -> None:
    """By a test, as it stands; or the table says why it can't be. Never both, none that is gone."""
    there = {(page, shell_lines(one)[0]) for page in DOCS for one in blocks(text(page), "sh")}
    count = sum(len(blocks(text(page), "sh")) for page in DOCS)

    assert len(there) == count  # a block is known by its first line
    assert typed() | NOT_TYPED.keys() == there
    assert not typed() & NOT_TYPED.keys()


# ---- what is parsed, loaded, compiled ------------------------------------------------------------


def command_lines(page: str) -> Iterator[list[str]]:
    """Yield verb and arguments of each command line of ours in the shell blocks of a page."""
    for one in blocks(text(page), "sh"):
        for line in shell_lines(one):
            yield from ours(line)


def ours(line: str) -> Iterator[list[str]]:
    """Yield verb and arguments of each `statusd` in a line: by itself, in a pipe, run by others."""
    words = _words(line)
    for at, word in enumerate(words[:-1]):
        is_ours = word == "statusd" or word.endswith("/statusd")
        if is_ours and (at == 0 or words[at + 1] in VERBS):
            yield list(itertools.takewhile(lambda one: one not in _BETWEEN, words[at + 1 :]))


_BETWEEN = ("|", "||", "&&", ";", "&", ">", ">>", "<", ")")


def _words(line: str) -> list[str]:
    split = shlex.shlex(line, posix=True, punctuation_chars=True)
    split.whitespace_split, split.commenters = True, ""
    return list(split)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_is_one(page: str) -> None:
    """Our own parser takes the arguments: verbs, options and their values are as written."""
    for words in command_lines(page):
        assert is_taken(words), f"{page}: statusd {shlex.join(words)}"


def is_taken(words: list[str]) -> bool:
    """Tell whether our own parser takes a verb and its arguments."""
    try:
        return words[0] in VERBS and bool(parser(words[0]).parse_args(words))
    except SystemExit as left:
        return not left.code  # --help


@pytest.mark.parametrize("page", PAGES)
def test_what_the_text_says_of_verbs_is_so(page: str) -> None:
    """Where one is spoken of, it is there, and so are the options that are named with it."""
    prose = re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL)
    for verb, rest in re.findall(r"`statusd ([a-z]+)([^`]*)`", prose):
        assert verb in VERBS, f"{page}: statusd {verb}"
        options = set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest))
        known = set(re.findall(r"(?<=[\s\[])--?[a-z][a-z-]*", parser(verb).meant.format_help()))
        assert options <= known, f"{page}: statusd {verb}{rest}"


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_example_of_a_help_is_a_command_line(verb: str) -> None:
    """Its own parser takes it; what it does stands two blanks behind it, or in the next line."""
    told = parser(verb).meant.format_help().partition("examples:\n")[2].partition("\n\n")[0]
    examples = [re.split(r" {2,}", line.strip())[0] for line in told.splitlines()]
    lines = [words for one in examples if "statusd" in one for words in ours(one)]

    assert lines
    assert [words for words in lines if not is_taken(words)] == []


def test_command_lines_are_found() -> None:
    """In a pipe, behind a redirection, in a container, in a virtual environment."""
    found = {" ".join(words) for page in PAGES for words in command_lines(page)}

    assert {
        *("send pause", "acl --file job.toml", "completion bash", "health", "run"),
        "send pause --socket --name scan",
    } <= found
    assert not is_taken(["stauts"])
    assert not is_taken(["send", "pause", "--weit"])


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_what_it_says(page: str, tmp_path: Path) -> None:
    """Python compiles, and has of us what it imports; TOML is loaded; JSON and shell are sound."""
    content = text(page)
    for python in blocks(content, "python"):
        tree = compile(python, page, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        _assert_ours_are_there(tree)
    for number, toml in enumerate(blocks(content, "toml")):
        _assert_loaded(toml, tmp_path / f"{number}")
    for message in blocks(content, "json"):
        json.loads(message)
    subprocess.run(["bash", "-n"], input="".join(blocks(content, "sh")), text=True, check=True)


def _assert_ours_are_there(tree: ast.AST) -> None:
    """What a block takes from the package is public there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "statusd":
            module = importlib.import_module(node.module or "")
            assert not [one.name for one in node.names if not hasattr(module, one.name)]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "statusd":
            assert hasattr(importlib.import_module("statusd"), node.attr), node.attr


def _assert_loaded(toml: str, folder: Path) -> None:
    """As `statusd run` loads it, with a worker where it has none; what it names is beside it."""
    folder.mkdir()
    worker = "" if "[worker]" in toml else '[worker]\nfunction = "job:main"\n'
    file = folder / "statusd.toml"
    file.write_text(f"{toml}\n{worker}", encoding="utf-8")
    (folder / "scan.py").write_text(_SCAN, encoding="utf-8")
    for name in re.findall(r'_file = "([^"]*)"', toml):
        toml = toml.replace(name, str(folder / Path(name).name))
        (folder / Path(name).name).touch()
    file.write_text(f"{toml}\n{worker}", encoding="utf-8")

    assert isinstance(load(file, {}), Settings)


_SCAN = '''
import enum
Scan = enum.Enum("Scan", "INIT IDLE RUNNING END")
TRANSITIONS = [
    ["ready", "INIT", "IDLE"], ["start", "IDLE", "RUNNING"], ["stop", "RUNNING", "IDLE"],
    ["end", "*", "END"],
]
def has_exposure(request):
    """say how long to expose"""
    return True
'''
"""What the settings of docs/lifecycles.md name."""


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_every_target_of_make_is_there(page: str) -> None:
    """What is to be made, and the variables that are given with it."""
    makefile = text("Makefile")
    for target, rest in re.findall(r"(?:`|^)make ([a-z-]+)([^`\n]*)", text(page), re.MULTILINE):
        assert f"\n{target}:" in makefile, target
        for variable in re.findall(r"([A-Z]+)=", rest):
            assert f"$({variable})" in makefile, variable


# ---- links ---------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in a link, as GitHub does."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    """To a file that is there, and to a heading of it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if "://" in target:
            continue
        name, _, head = target.partition("#")
        there = ROOT / page if not name else (ROOT / page).parent / name
        assert there.exists(), target
        assert not head or head in anchors(there), target


def test_every_page_is_reached_from_the_readme() -> None:
    """Each of docs/ is named there, and what the code names is there."""
    named = set(re.findall(r"docs/[\w-]+\.md", text("README.md")))
    said = {
        page
        for path in ROOT.glob("service/**/*.py")
        for page in re.findall(r"docs/[\w-]+\.md", path.read_text(encoding="utf-8"))
    }

    assert named == set(DOCS) - {"README.md"}
    assert said <= named
