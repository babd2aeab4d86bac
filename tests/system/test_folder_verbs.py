"""A folder of units, for the verbs that take settings: check, graph, acl, doctor, and `--file`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from statusd.core.lifecycle import BUILT_IN
from statusd.daemon.embedded import Embedded
from statusd.lifecycles.mermaid import mermaid
from statusd.settings.load import load_lifecycle
from statusd.wire.names import default_name
from statusd.wire.rights import DAEMON, user_line
from tests.system.commands import statusd
from tests.tools import Broker, free_port
from tests.tools.nobody import nobody, why_not
from tests.tools.pages import block, shell_lines

SHARED = """\
[redis]
namespace = "hall"
[control]
channels = ["all"]
"""
JOB = '[worker]\ncommand = ["sleep", "9"]\n'
SCAN = """\
instances = 8
[control]
channels = ["scan.{instance}"]
[worker]
command = ["sleep", "{instance}"]
"""
PACKML = Path("config/lifecycles/packml.toml").read_text(encoding="utf-8")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder of ten units."""
    folder = tmp_path / "units"
    folder.mkdir()
    named = {"camera": f'name = "camera@here"\n{JOB}', "laser": f'name = "beam"\n{JOB}'}
    for name, text in {"statusd": SHARED, "scan": f'name = "scan@here"\n{SCAN}', **named}.items():
        (folder / f"{name}.toml").write_text(text)
    return folder


# ---- check ---------------------------------------------------------------------------------------


def test_what_a_folder_comes_to_is_a_table(units: Path) -> None:
    """What is the daemon's, then a row a file, and how many units there are."""
    (units / "statusd.toml").write_text(f'{SHARED}[daemon]\nname = "hall-3"\n')

    done = statusd("check", "units/", cwd=units.parent)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "  daemon   hall-3",
        "  broker   redis://127.0.0.1:6379/0",
        "  hears    hall:control, and the channels of its units",
        "NAME                    CHANNELS           WORKER               GOAL",
        "camera@here             all                sleep 9              RUNNING",
        "beam                    all                sleep 9              RUNNING",
        "scan-1 ... scan-8@here  scan.1 ... scan.8  sleep 1 ... sleep 8  RUNNING",
        "units/: no mistakes; 10 units",
    ]


def test_states_are_shown_where_they_are_others(units: Path) -> None:
    """Those that are built in go without saying; a warning of many units is told once."""
    (units / "packml.toml").write_text(PACKML)
    machine = '[lifecycle]\nfile = "packml.toml"\n[worker]\ninput = "states"\ncommand = ["cat"]\n'
    (units / "machine.toml").write_text(f'name = "machine"\n{machine}')
    (units / "statusd.toml").write_text(f"{SHARED}[worker]\nsignal_stop_timeout_s = 60\n")

    done = statusd("check", str(units))

    rows = [row for row in done.stdout.splitlines() if not row.startswith(" ")]
    told = {row.split()[0]: row for row in rows}
    assert told["NAME"].split()[-1] == "STATES"
    assert told["camera@here"].endswith("  as built in")
    assert " INIT CLEARING STOPPED " in told["machine"]
    assert rows[-1].endswith("units/: no mistakes; 11 units")
    (warning,) = done.stderr.splitlines()
    assert warning.startswith(f"warning: {units}/statusd.toml:6: worker.signal_stop_timeout_s: ")


def test_every_mistake_in_every_file_is_told_at_once(units: Path) -> None:
    """Also what isn't there; each once, in the file that says it, whatever else is wrong."""
    files = {
        "statusd": '[redis]\nnamespace = "hall"\npassword_file = "/nope"\n',
        "camera": '[worker]\ncommand = ["no-such-program"]\noutput = "nowhere/log"\n',
        "laser": f'goal = "NOWHERE"\n{JOB}',
        "scan": SCAN.replace('"sleep", "{instance}"', '"./scan-{instance}"'),
        "plot": '[worker]\nfunction = "plot:main"\n',
    }
    for name, text in files.items():
        (units / f"{name}.toml").write_text(text)

    done = statusd("check", "units", cwd=units.parent)

    assert (done.returncode, done.stdout) == (78, "")
    told = sorted(line.removeprefix("statusd: units/") for line in done.stderr.splitlines())
    expected = [
        "camera.toml:2: worker.command: no-such-program: no such program in PATH",
        "camera.toml:3: worker.output: units/nowhere: no such directory",
        "laser.toml:1: goal: NOWHERE: ",
        "plot.toml:2: worker.function: no module plot in ",
        "scan.toml:5: worker.command: ./scan-1: no such program in ",
        "statusd.toml:3: redis.password_file: /nope: No such file or directory",
    ]
    assert len(told) == len(expected), told
    for line, start in zip(told, expected, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize("verb", ["check", "run", "doctor", "acl"])
def test_what_units_share_is_no_unit(verb: str, units: Path) -> None:
    """The cure is the folder; alone, a file without a worker is what it always was."""
    done = statusd(verb, "units/statusd.toml", cwd=units.parent)

    assert done.returncode == 78
    first, second = done.stderr.splitlines()
    assert "worker.function: missing: say function = " in first
    cure = f"is it what the units beside it share? statusd {verb} units/"
    assert second == f"statusd: units/statusd.toml: it has no worker: {cure}"
    for file in units.glob("*.toml"):
        if file.name != "statusd.toml":
            file.unlink()
    alone = statusd(verb, "units/statusd.toml", cwd=units.parent)
    assert alone.stderr.splitlines() == [first]


def test_a_unit_of_a_folder_alone_is_told_what_it_goes_without(units: Path) -> None:
    """It is judged by itself, as `statusd run FILE` takes it."""
    hint = "it was judged by itself, without what units/statusd.toml shares: statusd check units/"

    done = statusd("check", "units/camera.toml", cwd=units.parent)

    assert done.returncode == 0
    assert "  hears    statusd:control\n" in done.stdout
    assert done.stderr == f"warning: units/camera.toml: {hint}\n"
    wrong = statusd("check", "units/scan.toml", cwd=units.parent)
    assert wrong.returncode == 78
    assert wrong.stderr.splitlines()[-1] == f"statusd: units/scan.toml: {hint}"
    (units / "statusd.toml").write_text(f"{SHARED}{JOB}")
    assert statusd("check", "units/camera.toml", cwd=units.parent).stderr == ""


@pytest.mark.parametrize("verb", ["check", "graph", "acl", "doctor", "status --file"])
def test_a_folder_that_is_none_is_named_with_the_cure(verb: str, units: Path) -> None:
    """One that isn't there, and one that has no unit; 78, and nothing is printed."""
    (units.parent / "empty").mkdir()
    for name, cure in (
        ("unit", "No such file or directory, did you mean un"),
        ("empty", "no unit"),
    ):
        done = statusd(*verb.split(), name, cwd=units.parent)

        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr.startswith(f"statusd: {name}: {cure}")
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_folder_that_may_not_be_read_is_named_with_the_cure(units: Path) -> None:
    """For whom it isn't; by a verb that reads all of it, and by one that wants the broker."""
    units.chmod(0o311)
    for verb, cure in (
        ("check", "let this user read it (chmod u+rx)"),
        ("status --file", "let this"),
    ):
        done = nobody("-m", "statusd", *verb.split(), "units", cwd=units.parent)

        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr.startswith(f"statusd: units: Permission denied: {cure}")
    units.chmod(0o755)


# ---- graph, acl ----------------------------------------------------------------------------------


def test_the_lifecycle_of_a_folder_is_that_of_all_its_units(units: Path) -> None:
    """If they have the same; else one is named, by its name, without its host, or by its file."""
    done = statusd("graph", str(units))
    assert (done.returncode, done.stdout, done.stderr) == (0, mermaid(BUILT_IN), "")
    (units / "packml.toml").write_text(PACKML)
    told = '[lifecycle]\nfile = "packml.toml"\n[worker]\ninput = "states"\ncommand = ["cat"]\n'
    (units / "camera.toml").write_text(f'name = "camera@here"\n{told}')
    packml = mermaid(load_lifecycle(units / "packml.toml"))

    for words, code in ((), 64), (("--name", "cam"), 5):
        refused = statusd("graph", "units", *words, cwd=units.parent)
        assert (refused.returncode, refused.stdout) == (code, "")
        assert ": there is beam, camera@here, scan-1@here, scan-2@here, " in refused.stderr
    for name, picture in (
        ("camera@here", packml),
        ("camera", packml),
        ("beam", mermaid(BUILT_IN)),
        ("laser", mermaid(BUILT_IN)),
        ("scan", mermaid(BUILT_IN)),
        ("scan-3", mermaid(BUILT_IN)),
    ):
        assert statusd("graph", "units", "--name", name, cwd=units.parent).stdout == picture
    alone = statusd("graph", "units/camera.toml", cwd=units.parent)
    assert alone.stdout == packml
    named = statusd("graph", "units/camera.toml", "--name", "camera", cwd=units.parent)
    assert (named.returncode, named.stdout) == (64, "")


def test_the_state_of_a_unit_of_a_folder_is_highlighted(broker: Broker, units: Path) -> None:
    """By its short name, too; the broker is the one that the units share."""
    (units / "statusd.toml").write_text(f'[redis]\nurl = "{broker.url}"\nnamespace = "hall"\n')
    document = {"boot": 5, "name": "camera@here", "state": "PAUSED"}
    broker.client().set("hall:status:{camera@here}", json.dumps(document))

    done = statusd("graph", str(units), "--unit", "camera")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == mermaid(BUILT_IN, "PAUSED")


def test_the_rights_of_a_folder_are_those_of_all_its_units(units: Path) -> None:
    """As with a file for each; a folder and a file may be given together."""
    (units.parent / "other.toml").write_text(
        f'[redis]\nnamespace = "hall"\n[control]\nchannels = ["other"]\n{JOB}'
    )
    scans = [f"scan.{number}" for number in range(1, 9)]

    done = statusd("acl", "units", "other.toml", "--role", "daemon", cwd=units.parent)

    assert (done.returncode, done.stderr) == (0, "")
    channels = ["all", *scans, "other"]
    assert done.stdout == f"{user_line(DAEMON, 'hall', channels, 'change-me-daemon')}\n"
    by_option = statusd("acl", "--file", "units", "--role", "daemon", cwd=units.parent)
    assert by_option.stdout == f"{user_line(DAEMON, 'hall', channels[:-1], 'change-me-daemon')}\n"


# ---- doctor --------------------------------------------------------------------------------------


def test_the_doctor_looks_at_what_is_common_once_and_at_each_unit(
    broker: Broker, units: Path
) -> None:
    """The rights of all, the names of each; many that are well are one line."""
    client = broker.client()
    said = ("control", "verdicts", "events", "reply:*", "canary:{hall-3}", "logs:{*}")
    may = ("all", *(f"scan.{number}" for number in range(1, 8)))
    channels = [f"&{channel}" for channel in (*(f"hall:{one}" for one in said), *may)]
    rules = ["+@all", "~*", "resetchannels", *channels]
    client.execute_command("ACL", "SETUSER", "hall", "on", ">secret", *rules)  # type: ignore[no-untyped-call]  # redis-py
    url = f"redis://hall:secret@127.0.0.1:{broker.port}"
    text = SHARED.replace("[redis]\n", f'[redis]\nurl = "{url}"\n')
    (units / "statusd.toml").write_text(f'{text}[daemon]\nname = "hall-3"\n')
    state = units.parent / "state"
    state.mkdir()
    (units / "plot.toml").write_text(JOB)
    plot = default_name(Path("plot.toml"))
    (state / f"{plot}.json").write_text(json.dumps({"settings": "/elsewhere/plot.toml"}))
    other = {"boot": 1, "host": "gpu-3.invalid", "pid": 7}
    client.set("hall:owner:{beam}", json.dumps(other))
    env = {"STATUSD_STATE_DIRECTORY": str(state), "XDG_RUNTIME_DIR": str(units.parent)}

    done = statusd("doctor", "units/", "--json", cwd=units.parent, env=env)

    found = json.loads(done.stdout)
    told = {
        about: [one for one in found if one["about"] == about]
        for about in (*("settings", "state", "broker", "rights", "name", "channels"),)
    }
    assert done.returncode == 1
    assert [one["level"] for one in told["settings"]] == ["ok"]
    assert told["settings"][0]["what"] == "units/: nobody else may change it, nor its 5 files"
    assert [len(told[about]) for about in ("broker", "rights")] == [1, 1]
    assert [one["level"] for one in told["state"]] == ["ok", "error"]
    assert told["state"][1]["what"].startswith(f"{plot}: {state}/{plot}.json is of /elsewhere/")
    assert told["rights"][0]["what"] == "hall may not: SUBSCRIBE scan.8"
    assert "&scan.1 " in told["rights"][0]["cure"]
    assert [one["level"] for one in told["name"]].count("error") == 1
    assert any(
        "beam is taken: a unit lives on gpu-3.invalid" in one["what"] for one in told["name"]
    )
    heard = {one["what"].partition(":")[0]: one["level"] for one in told["channels"]}
    assert heard["all"] == "error", "beam lives, and nobody hears its channel"
    assert heard["scan.8"] == "ok"


def test_many_that_are_well_are_one_line(broker: Broker, units: Path) -> None:
    """Of names and of channels; what isn't well has a line of its own."""
    (units / "statusd.toml").write_text(SHARED.replace("[redis]", f'[redis]\nurl = "{broker.url}"'))
    (units / "scan.toml").write_text(SCAN.replace("= 8", "= 100"))
    other = {"boot": 1, "host": "gpu-3.invalid", "pid": 7}
    broker.client().set("hall:owner:{beam}", json.dumps(other))

    done = statusd("doctor", str(units), "--json")

    told = [one["what"] for one in json.loads(done.stdout) if one["about"] in ("name", "channels")]
    assert told[0] == "101 names are free, 0 are this machine's own units"
    assert told[1].startswith("beam is taken: ")
    assert told[2] == "100 of 102 are heard, or of units that don't run"
    assert [one.partition(":")[0] for one in told[3:]] == ["all", "hall"]


@pytest.mark.parametrize(
    ("path", "mode", "told"),
    [
        ("units", 0o1777, "units/: others may write to it (mode 1777), and may add a unit"),
        ("units", 0o777, "units/: others may write to it (mode 777), and may add a unit"),
        ("units/laser.toml", 0o666, "units/laser.toml: others may write to it (mode 666), and may"),
    ],
)
def test_who_may_change_a_folder_of_units_is_told(
    path: str, mode: int, told: str, units: Path
) -> None:
    """It runs whatever lies in it: once, and not for each file."""
    (units.parent / path).chmod(mode)
    nobody = {"STATUSD_REDIS__URL": f"redis://127.0.0.1:{free_port()}"}

    done = statusd("doctor", "units", "--json", cwd=units.parent, env=nobody)

    (found,) = (one for one in json.loads(done.stdout) if one["about"] == "settings")
    assert found["level"] == "warning"
    assert found["what"].startswith(told)
    assert found["cure"].endswith(f"chmod go-w {path}{'' if path.endswith('toml') else '/'}")


# ---- the broker of the other verbs ---------------------------------------------------------------


def test_the_embedded_broker_of_a_folder_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the folder, from where it was started and in it, with a shared file or without one."""
    units, elsewhere, here = (tmp_path / name for name in ("units", "elsewhere", "here"))
    for folder in (units, elsewhere, here):
        folder.mkdir()
    (units / "camera.toml").write_text(JOB)
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(here)
    with Embedded(Path("../units/statusd.toml")) as broker:
        for text in ("", '[redis]\nnamespace = "hall"\n'):
            for cwd, words in (
                (tmp_path, ("--file", "units/")),
                (elsewhere, ("--file", "../units")),
                (elsewhere, ("--file", "../units/camera.toml")),
                (here, ()),
                (units, ()),
            ):
                done = statusd("status", "-v", *words, cwd=cwd, env=env)
                whose = f"{units}/statusd.toml" if text else f"{units}/"
                assert (
                    f"broker {broker.url} (the running embedded broker of {whose})" in done.stderr
                )
            refused = statusd("send", "end", cwd=elsewhere, env=env)
            assert refused.returncode == 78
            assert f"port {broker.port}: {whose}" in refused.stderr
            assert f"--file {whose}" in refused.stderr
            (units / "statusd.toml").write_text('[redis]\nnamespace = "hall"\n')


def test_a_folder_names_the_broker_that_its_units_share(broker: Broker, units: Path) -> None:
    """Its namespace, too; as does that file by itself."""
    (units / "statusd.toml").write_text(f'[redis]\nurl = "{broker.url}"\nnamespace = "hall"\n')
    entry = {"boot": 5, "left": False, "seen": ""}
    document = {"boot": 5, "name": "camera", "state": "PAUSED"}
    client = broker.client()
    client.hset("hall:roster", "camera", json.dumps(entry))
    client.set("hall:status:{camera}", json.dumps(document))

    for named in ("units", "units/statusd.toml"):
        done = statusd("status", "-v", "--file", named, cwd=units.parent)

        assert [row.split()[:1] for row in done.stdout.splitlines()[1:]] == [["camera"]]
        assert done.stderr == f"statusd: broker {broker.url} (units/statusd.toml)\n"
    shared = "units/camera.toml names no broker, and units/statusd.toml does, for the units of its"
    for text, warned in ((JOB, 1), (f"[redis]\nurl = '{broker.url}'\n{JOB}", 0)):
        (units / "camera.toml").write_text(text)
        done = statusd("status", "--file", "units/camera.toml", cwd=units.parent)
        assert done.stderr.count(f"statusd: {shared} folder: --file units/\n") == warned


# ---- what the page says --------------------------------------------------------------------------


def test_the_page_is_typed_as_it_stands(broker: Broker, units: Path) -> None:
    """Each line of it says what it is said to."""
    (units / "statusd.toml").write_text(f'[redis]\nurl = "{broker.url}"\nnamespace = "hall"\n')
    entry = {"boot": 5, "left": True, "seen": ""}
    broker.client().hset("hall:roster", "camera", json.dumps(entry))
    said = []
    for line in shell_lines(block("docs/cli.md", "statusd check units/")):
        done = statusd(*line.partition(" > ")[0].split()[1:], cwd=units.parent)
        assert (done.returncode, done.stderr) == (0, "")
        said.append(done.stdout)

    checked, looked, drawn, rights, shown = said
    assert checked.endswith("units/: no mistakes; 10 units\n")
    assert "units/: nobody else may change it" in looked
    assert drawn == mermaid(BUILT_IN)
    assert rights.startswith("user statusd-daemon ")
    assert "camera" in shown
