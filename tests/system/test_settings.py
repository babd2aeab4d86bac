"""Mistakes in settings: all at once, each with its place and its cure, and exit code 78."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from statusd.settings.models import Settings
from statusd.settings.tables import WorkerSettings
from statusd.settings.variables import variable
from tests.system.commands import statusd
from tests.tools.settings import made, written
from tests.tools.variants import nightly

GOOD = '[worker]\nfunction = "job:main"\n'
JOB = "def main(worker):\n    pass\n"
SECRET = "hunter2-must-not-be-seen"

MISTAKES = {
    "a misspelt key": (
        GOOD + "stop_timeout = 3\n",
        "statusd.toml:3: worker.stop_timeout: unknown key, did you mean stop_timeout_s?",
    ),
    "a misspelt table": (
        GOOD + "[contol]\nchannels = []\n",
        "statusd.toml:3: contol: unknown key, did you mean control?",
    ),
    "a text for a number": (
        GOOD + 'stop_timeout_s = "soon"\n',
        "statusd.toml:3: worker.stop_timeout_s: a number is wanted",
    ),
    "a wrong choice": (
        GOOD + 'restart = "sometimes"\n',
        "statusd.toml:3: worker.restart: one of 'never', 'on-failure' or 'always'",
    ),
    "a name with a blank": ('name = "a b"\n' + GOOD, "statusd.toml:1: name: letters, digits and"),
    "no function": ('name = "a"\n', "worker.function: missing: say function ="),
    "a function without a module": (
        '[worker]\nfunction = "main"\n',
        'statusd.toml:2: worker.function: a function is written "package.module:name"',
    ),
    "a channel inside the namespace": (
        GOOD + '[control]\nchannels = ["statusd:verdicts"]\n',
        "statusd.toml:4: control.channels: 'statusd:verdicts' lies inside the namespace",
    ),
    "two channels inside the namespace": (
        GOOD + '[control]\nchannels = ["statusd:verdicts", "ok", "statusd:events"]\n',
        "control.channels: 'statusd:verdicts' and 'statusd:events' lie inside the namespace",
    ),
    "a channel that is not ASCII": (
        GOOD + '[control]\nchannels = ["kan\u00e4le"]\n',
        'statusd.toml:4: control.channels: entry 1 ("kanäle"): a channel\'s name is printable',
    ),
    "the second of two channels": (
        GOOD + '[control]\nchannels = ["good", "a b"]\n',
        'statusd.toml:4: control.channels: entry 2 ("a b"): a channel\'s name is printable ASCII',
    ),
    "a part of a command, which may be a secret": (
        '[worker]\ncommand = ["./log-in", 12345678]\n',
        "statusd.toml:2: worker.command: entry 2: a text is wanted",
    ),
    "a database that is no number": (
        GOOD + '[redis]\nurl = "redis://localhost/one"\n',
        "statusd.toml:4: redis.url: the database in the broker's url must be a number",
    ),
    "a scheme that nobody knows": (
        GOOD + f'[redis]\nurl = "http://me:{SECRET}@localhost"\n',
        "redis.url: the broker's url must begin with redis://",
    ),
    "a port that is none": (
        GOOD + f'[redis]\nurl = "redis://me:{SECRET}@localhost:99999"\n',
        "redis.url: the broker's url is not valid",
    ),
    "a wrong password type": (
        GOOD + "[redis]\npassword = 12345678\n",
        "redis.password: a text is wanted, in quotes",
    ),
    "a wait over the longest": (
        GOOD + "backoff_s = [5, 1]\n",
        "statusd.toml:1: worker: backoff_s: the first wait 5 is over the longest 1",
    ),
    "an address that is none": (
        GOOD + '[http]\nlisten = "everywhere"\n',
        "statusd.toml:4: http.listen: 'everywhere' is no address and port, as in \"9464\"",
    ),
    "no TOML": ("name = \n", "statusd.toml: not valid TOML"),
}


@pytest.mark.fault("C02", "C03", "C06", "M02")
@pytest.mark.parametrize("mistake", sorted(MISTAKES))
@pytest.mark.parametrize("verb", ["check", *nightly("run")])
def test_a_mistake_is_named_with_its_place(verb: str, mistake: str, tmp_path: Path) -> None:
    """File, line, key, and what would be right; no traceback and no secret."""
    text, expected = MISTAKES[mistake]
    (tmp_path / "statusd.toml").write_text(text)

    done = statusd(verb, cwd=tmp_path, env={"STATUSD_STATE_DIRECTORY": str(tmp_path / "state")})

    assert done.returncode == 78
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert "12345678" not in done.stderr


@pytest.mark.fault("C01")
def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    """In the file and in the environment."""
    (tmp_path / "statusd.toml").write_text('goals = "x"\n' + GOOD + '[log]\nlevel = "loud"\n')

    done = statusd(
        "check",
        cwd=tmp_path,
        env={"STATUSD_REDIS__URI": "x", "STATUSD_WORKER__BUDGET": "many"},
    )

    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 4
    unknown = "unknown variable STATUSD_REDIS__URI, did you mean STATUSD_REDIS__URL?"
    assert unknown in done.stderr
    assert "environment: STATUSD_WORKER__BUDGET: a whole number is wanted" in done.stderr
    assert "statusd.toml:5: log.level" in done.stderr


def test_what_kubernetes_injects_is_no_mistake(tmp_path: Path) -> None:
    """STATUSD_SERVICE_* and STATUSD_PORT* are nobody's settings."""
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "statusd.toml").write_text(GOOD)
    injected = {"STATUSD_SERVICE_HOST": "10.0.0.1", "STATUSD_PORT_6379_TCP": "tcp://10.0.0.1:6379"}

    assert statusd("check", cwd=tmp_path, env=injected).returncode == 0


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """Nested with two underscores."""
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "statusd.toml").write_text(GOOD + '[redis]\nurl = "redis://file:1/2"\n')

    done = statusd("check", cwd=tmp_path, env={"STATUSD_REDIS__URL": "redis://variable:3/4"})

    assert done.returncode == 0
    assert "redis://variable:3/4" in done.stdout


def test_no_settings_at_all_tells_where_they_were_looked_for(tmp_path: Path) -> None:
    """The cure stands in the message."""
    env = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}

    done = statusd("run", cwd=tmp_path, env=env)

    assert done.returncode == 78
    assert done.stderr.startswith("statusd: no settings file given, and none of statusd.toml, ")
    assert len(done.stderr.splitlines()) == 1


def test_the_reference_file_has_every_setting_with_its_default() -> None:
    """config/statusd.toml is the list that people read; of folders it has remarks."""
    text = Path("config/statusd.toml").read_text()
    content = tomllib.loads(text)
    defaults = written(Settings())
    for key, remark in (("instances", "# instances = "), ("daemon", "# [daemon]")):
        assert f"\n{remark}" in text
        del defaults[key]

    content.setdefault("name", "")

    assert keys(content) == keys(defaults)
    worker = WorkerSettings()  # what three of them are by default depends on others
    assert content["worker"].pop("stop_timeout_s") == worker.longest_stop_s()
    assert content["worker"].pop("signal_stop_timeout_s") == worker.longest_signal_stop_s()
    assert content["worker"].pop("deadline_margin_s") == worker.margin_s()
    assert written(made(content)) == written(Settings())


@pytest.mark.parametrize(
    ("said", "stop_s", "signal_s"),
    [
        ({"function": "job:main"}, 60, 5),
        ({"command": ["job"]}, 5, 5),
        ({"function": "job:main", "stop_timeout_s": 30}, 30, 30),
        ({"function": "job:main", "signal_stop_timeout_s": 8}, 60, 8),
        ({"command": ["job"], "stop_timeout_s": 30, "signal_stop_timeout_s": 8}, 30, 8),
    ],
)
def test_how_long_an_end_may_take_depends_on_the_worker(
    said: dict[str, Any], stop_s: float, signal_s: float
) -> None:
    """A function has time for its step; whoever has said one time, means it for both."""
    worker = made({"worker": said}).worker

    assert (worker.longest_stop_s(), worker.longest_signal_stop_s()) == (stop_s, signal_s)


@pytest.mark.parametrize(
    ("row", "warned"),
    [
        ("", ""),
        ("stop_timeout_s = 60", "toml:3: worker.stop_timeout_s: a stop by a signal may take 64 s"),
        ("kill_timeout_s = 9", "toml:3: worker.kill_timeout_s: a stop by a signal may take 16 s"),
        ("stop_timeout_s = 60\nsignal_stop_timeout_s = 3", ""),
    ],
)
def test_a_stop_that_is_longer_than_those_who_ask_wait_is_warned_of(
    row: str, warned: str, tmp_path: Path
) -> None:
    """It is no mistake: they can be told to wait."""
    (tmp_path / "job.py").write_text("def main(worker): ...\n")
    (tmp_path / "statusd.toml").write_text(f'[worker]\nfunction = "job:main"\n{row}\n')

    done = statusd("check", cwd=tmp_path)

    assert done.returncode == 0
    assert warned in done.stderr
    assert bool(done.stderr) is bool(warned)


def keys(content: Any) -> Any:
    """Return the keys of nested tables, without their values."""
    return {key: keys(value) for key, value in content.items()} if isinstance(content, dict) else {}


def test_a_variable_is_spelt_like_its_path() -> None:
    """The README's own example."""
    assert variable(("worker", "stop_timeout_s")) == "STATUSD_WORKER__STOP_TIMEOUT_S"
