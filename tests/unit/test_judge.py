"""The judge of settings: what it makes of what is written, and what it says of mistakes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from statusd.core.errors import ConfigError
from statusd.core.lifecycle import BUILT_IN
from statusd.core.policy import OnMemory
from statusd.settings.judge import judge
from statusd.settings.load import load
from statusd.settings.models import Settings
from statusd.settings.plain import heard, line, plain, read, told
from statusd.settings.tables import Content, WorkerSettings
from tests.tools.settings import made, mistakes
from tests.unit.test_environment import JOB, problems

WORKER: dict[str, tuple[Any, Any]] = {
    "stop_timeout_s": ("3", 3.0),
    "signal_stop_timeout_s": (True, 1.0),
    "hang_timeout_s": (2, 2.0),
    "memory_max": ("2GiB", 2**31),
    "on_memory": ("tell", "tell"),
    "backoff_s": ([1, 5], (1.0, 5.0)),
    "budget": ("4", 4),
    "nice": (1.0, 1),
    "umask": ("027", 0o27),
    "signals": ({"PAUSED": "usr1"}, {"PAUSED": "SIGUSR1"}),
    "environment": ({"A": "1"}, {"A": "1"}),
    "command": (["a", "b"], ("a", "b")),
    "restart_never_on": (["1", 2], (1, 2)),
    "output": ("./a.log", "./a.log"),
}


@pytest.mark.parametrize(("key", "both"), WORKER.items(), ids=WORKER.keys())
def test_a_value_becomes_what_it_means(key: str, both: tuple[Any, Any]) -> None:
    """As the core wants it, of exactly that type."""
    written, meant = both

    found = getattr(made({"worker": {key: written}}).worker, key)

    assert (found, type(found)) == (meant, type(meant))


WRONG: dict[str, tuple[str, list[str]]] = {
    "out of its limits": (
        JOB + "nice = 20\nbudget = -1\n",
        [
            "a.toml:3: worker.nice: Input should be less than or equal to 19",
            "a.toml:4: worker.budget: Input should be greater than or equal to 0",
        ],
    ),
    "no number at all": (
        JOB + "stop_timeout_s = nan\n",
        ["a.toml:3: worker.stop_timeout_s: Input should be a finite number"],
    ),
    "sizes of memory": (
        JOB + 'memory_max = "2G"\non_memory = "kill"\n',
        [
            "a.toml:3: worker.memory_max: G is no unit of memory, did you mean 2GiB?",
            "a.toml:4: worker.on_memory: ",
        ],
    ),
    "a size that no worker has": (
        JOB + "memory_max = 2\n",
        ['a.toml:3: worker.memory_max: 2 bytes are too few for any worker: "2GiB"?'],
    ),
    "a size that is none": (
        JOB + "memory_max = 1.5\n",
        ["a.toml:3: worker.memory_max: a size of memory is wanted"],
    ),
    "a date": (JOB + "directory = 1979-05-27\n", ["a.toml:3: worker.directory: a text is wanted"]),
    "a list for a text": (
        JOB + "[redis]\nurl = ['x']\n",
        ['a.toml:4: redis.url: a text is wanted, in quotes: "..."'],
    ),
    "a text for a table": ('log = "x"\n' + JOB, ["a.toml:1: log: a table is wanted"]),
    "too many of a pair": (
        JOB + "backoff_s = [1, 2, 3]\n",
        ["a.toml:3: worker.backoff_s: Tuple should have at most 2 items after validation, not 3"],
    ),
    "entries of a list": (
        JOB + 'restart_never_on = [0, 256, "x", 1.5]\n',
        [
            "a.toml:3: worker.restart_never_on: entry 1 (0): Input should be greater than or equal",
            "a.toml:3: worker.restart_never_on: entry 2 (256): Input should be less than or equal",
            'a.toml:3: worker.restart_never_on: entry 3 ("x"): a whole number is wanted',
            "a.toml:3: worker.restart_never_on: entry 4 (1.5): Input should be a valid integer",
        ],
    ),
    "entries of a command, which may be secrets": (
        '[worker]\ncommand = ["login", 271828]\n',
        ['a.toml:2: worker.command: entry 2: a text is wanted, in quotes: "..."'],
    ),
    "a command in one text": (
        "[worker]\ncommand = \"a 'b c'\"\n",
        ['a.toml:2: worker.command: a command is a list: ["a", "b c"]'],
    ),
    "a name of a variable": (
        JOB + '[worker.environment]\n"a b" = "1"\n',
        ["a.toml:4: worker.environment.a b: 'a b' is no name for a variable"],
    ),
    "a signal": (
        JOB + '[worker.signals]\nPAUSED = "usr9"\nRUNNING = "KILL"\n',
        [
            "a.toml:4: worker.signals.PAUSED: usr9 is no signal, did you mean SIGUSR",
            "a.toml:5: worker.signals.RUNNING: SIGKILL tells nothing: nobody survives it",
        ],
    ),
    "what contradicts itself": (
        JOB + "backoff_s = [5, 1]\n",
        ["a.toml:1: worker: backoff_s: the first wait 5 is over the longest 1"],
    ),
    "in a table and at the top": (
        'goals = "x"\n' + JOB + "nice = 1\nstop_timeout = 3\n",
        [
            "a.toml:5: worker.stop_timeout: unknown key, did you mean stop_timeout_s?",
            "a.toml:1: goals: unknown key, did you mean goal?",
        ],
    ),
    "a key of a lifecycle, told by whoever reads that": (
        JOB + "[lifecycle]\nfoo = 1\n",
        ["a.toml:4: lifecycle.foo: unknown key"],
    ),
    "what isn't a setting, but a name in here": (
        JOB + "[log]\nsaid = 1\n__pydantic_config__ = 2\n",
        [
            "a.toml:4: log.said: unknown key",
            "a.toml:5: log.__pydantic_config__: unknown key",
        ],
    ),
    "as if it were found": (
        "is_attached = true\n" + JOB,
        ["a.toml:1: is_attached: unknown key"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG.keys())
def test_every_mistake_is_named(text: str, expected: list[str], tmp_path: Path) -> None:
    """With its line, in this order, and no other one."""
    found = problems(text, {}, tmp_path)

    assert len(found) == len(expected), found
    for problem, begin in zip(found, expected, strict=True):
        assert problem.startswith(begin)


@pytest.mark.parametrize("how", ["", 'on_memory = "crash"\n'])
def test_nobody_is_killed_for_memory_who_is_attached(how: str, tmp_path: Path) -> None:
    """What is done instead has to be said."""
    file = tmp_path / "a.toml"
    file.write_text(f'[worker]\nmemory_max = "2GiB"\n{how}')

    with pytest.raises(ConfigError) as caught:
        load(file, {}, attached=True)

    (problem,) = caught.value.problems
    assert problem.removeprefix(f"{tmp_path}/") == (
        "a.toml:2: worker.memory_max: attach() kills nothing: "
        'with memory_max say on_memory = "tell" or "pause"'
    )


@pytest.mark.parametrize("how", ["tell", "pause"])
def test_an_attached_program_may_be_told_of(how: str, tmp_path: Path) -> None:
    """Or told to wait; without a limit nothing need be said."""
    file = tmp_path / "a.toml"
    file.write_text(f'[worker]\nmemory_max = "2GiB"\non_memory = "{how}"\n')

    policy = load(file, {}, attached=True).policy()

    assert (policy.memory_max, policy.on_memory) == (2**31, OnMemory(how))
    file.write_text("")
    assert load(file, {}, attached=True).policy().memory_max == 0


def test_a_size_of_memory_may_come_from_the_environment(tmp_path: Path) -> None:
    """As it would stand in a file, or as a number of bytes; empty for none."""
    file = tmp_path / "a.toml"
    file.write_text(JOB)
    key = "STATUSD_WORKER__MEMORY_MAX"

    said = [load(file, {key: text}).worker.memory_max for text in ("2GiB", "2097152", "", "0")]

    assert said == [2**31, 2**21, 0, 0]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("OUTPUT", "x\udcff", r"a file's name has a slash in it: ./x\udcff"),
        ("SIGNALS", '{"PAUSED": "x\udcff"}', r"x\udcff is no signal"),
        ("MEMORY_MAX", "x\udcff", r"'x\udcff'"),
    ],
)
def test_what_is_not_utf_8_is_a_mistake_as_any_other(
    key: str, value: str, told: str, tmp_path: Path
) -> None:
    """Also where what is said of it repeats it: once that was a traceback."""
    found = "\n".join(problems(JOB, {f"STATUSD_WORKER__{key}": value}, tmp_path))

    assert told in found


def test_a_key_at_the_top_may_be_in_upper_case(tmp_path: Path) -> None:
    """As it always could; of two that differ in that alone the first counts."""
    file = tmp_path / "a.toml"
    file.write_text(f'NAME = "a"\nName = "b"\n{JOB}[Log]\nlevel = "debug"\n')

    found = load(file, {})

    assert (found.name, found.log.level, found.says("log", "level")) == ("a", "debug", True)


def test_what_is_made_by_hand_is_what_is_made_of_nothing() -> None:
    """The defaults are no others for the judge."""
    assert judge({}) == Content()
    assert repr(made({})) == repr(Settings())


def test_a_settings_lifecycle_is_the_built_in_one_itself() -> None:
    """Whose states are compared by identity."""
    assert Settings().states() is BUILT_IN
    assert made({"name": "a"}).completed("b", BUILT_IN, attached=False).states() is BUILT_IN


def test_tables_that_contradict_themselves_are_not_made() -> None:
    """Whoever makes them."""
    with pytest.raises(ValueError, match="the first wait 5 is over the longest 1"):
        WorkerSettings(backoff_s=(5, 1))


CONTENTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a secret": {"redis": {"url": "redis://me:hunter2@host", "password": "hunter3"}},
    "numbers of either kind": {"control": {"durable_s": 3600}, "worker": {"backoff_s": [1, 30]}},
    "lists and tables": {"tags": ["a"], "worker": {"environment": {"A": "ä"}, "signals": {}}},
    "a lifecycle": {"lifecycle": {"states": ["A", {"name": "B"}], "transitions": []}},
    "text that is none": {"redis": {"password": "\ud800"}, "worker": {"nice": 99}},
    "a table for a text": {"name": {}, "instances": 1.5, "foo": 1, "tags": ["a b", 3]},
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_a_verdict_is_the_same_when_another_process_tells_it(content: dict[str, Any]) -> None:
    """To the type of each number, for it is shown."""
    here = judge(content)
    there = heard(read(line(told(judge(read(line(content)))))))

    assert there == here
    assert repr(plain(there)) == repr(plain(here))
    if isinstance(here, Content) and isinstance(there, Content):
        assert vars(there.redis) == vars(here.redis)
        assert repr(there) == repr(here)


def test_of_what_is_wrong_no_value_is_told_but_an_entry_of_a_list() -> None:
    """Neither to another process: it may be a password."""
    found = judge({"redis": {"password": 271828, "url": "hunter2"}, "tags": ["a b"]})

    assert isinstance(found, tuple)
    assert {mistake.path: mistake.entry for mistake in found} == {
        ("tags",): "a b",
        ("redis", "url"): None,
        ("redis", "password"): None,
    }


def test_dates_are_told_as_well() -> None:
    """TOML has them, and JSON hasn't."""
    content = tomllib.loads(
        "a = 1979-05-27\nb = 07:32:00\nc = 1979-05-27T07:32:00Z\nd = 1979-05-27T07:32:00.5\n"
    )

    assert read(line(content)) == content
    assert mistakes(content) == mistakes(read(line(content)))
