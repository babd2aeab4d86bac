"""`[web]`: in a file of its own or beside others, what is wrong with it, and who passes it over."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from statusd.cli import web as cli
from statusd.core.errors import ConfigError
from statusd.daemon.reload import changes
from statusd.settings.tables import Web
from statusd.settings.variables import unknown_variables
from statusd.settings.web import is_for_web, load_web
from statusd.web.doubts import doubts
from statusd.wire.listen import parse_listen
from tests.system.commands import statusd
from tests.tools.settings import made

TOKEN, OTHER = "0123456789abcdef", "fedcba9876543210"
JOB = '[worker]\ncommand = ["sleep", "9"]\n'


def found(text: str, folder: Path, environ: Mapping[str, str] | None = None, **typed: Any) -> Web:
    """Write a file and return what a server makes of it."""
    file = folder / "web.toml"
    file.write_text(text, encoding="utf-8")
    return load_web(file, typed, environ or {})


def test_what_is_typed_counts_more_than_the_environment_and_that_more_than_a_file(
    tmp_path: Path,
) -> None:
    """Key by key, in a file that may be a unit's, too; upper case is the same at its top."""
    text = f'{JOB}[WEB]\nlisten = "1"\nroot_path = "/a/"\nuser_header = "X-User"\n'
    said = {"STATUSD_WEB__ROOT_PATH": "/b", "STATUSD_WEB__USER_HEADER": "X-Other"}

    web = found(text, tmp_path, said, user_header="X-Third", read_only=None)

    assert (web.listen, web.root_path, web.user_header) == ("127.0.0.1:1", "/b", "x-third")
    assert not web.read_only


def test_a_token_file_is_beside_what_names_it_or_is_found_as_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was typed is where the user stands; a service manager's has a name of ours."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "statusd_web_viewer_token").write_text(TOKEN)

    web = found('[web]\ntoken_file = "mine"\n', tmp_path)
    typed = found('[web]\ntoken_file = "mine"\n', tmp_path, token_file="typed")

    assert web.token_file == str(tmp_path / "mine")
    assert web.viewer_token_file == str(tmp_path / "statusd_web_viewer_token")
    assert typed.token_file == "typed"


MISTAKES = {
    "a slip": ("lisen = 1", "web.lisen: unknown key, did you mean listen?"),
    "no address": ('listen = "everywhere"', "web.listen: 'everywhere' is no address and port"),
    "nowhere": ('listen = ""', "web.listen: '' is no address and port"),
    "a port of a host": (
        'allow_hosts = ["ab:80"]',
        "web.allow_hosts: entry 1 (\"ab:80\"): 'ab:80' is no name of a host",
    ),
    "a url for a host": (
        'allow_hosts = ["ok", "http://a"]',
        "web.allow_hosts: entry 2 (\"http://a\"): 'http://a' is no name of a host: without a",
    ),
    "no path": ('root_path = "statusd"', "web.root_path: 'statusd' is no path, as in"),
    "a proxy's name": (
        'trusted_proxies = ["proxy.lab"]',
        "web.trusted_proxies: entry 1 (\"proxy.lab\"): 'proxy.lab' is no address, as in",
    ),
    "a header with a meaning": (
        'user_header = "Cookie"',
        "web.user_header: 'Cookie' says something else: name one of the proxy's own",
    ),
}


@pytest.mark.parametrize(("row", "problem"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_by_check_and_by_the_server(
    row: str, problem: str, tmp_path: Path
) -> None:
    """With its place, by all who read it: it is the same file."""
    (tmp_path / "web.toml").write_text(f"[web]\n{row}\n")

    checked = statusd("check", "web.toml", cwd=tmp_path)
    served = statusd("web", "--file", "web.toml", cwd=tmp_path)

    assert (checked.returncode, served.returncode) == (78, 78)
    assert checked.stderr.startswith(f"statusd: web.toml:2: {problem}")
    assert served.stderr == checked.stderr


def test_a_name_of_a_host_is_as_it_is_compared(tmp_path: Path) -> None:
    """In lower case, without brackets and the last dot; an address of either kind is one."""
    said = 'allow_hosts = ["Status.Lab.", "[2001:DB8::1]", "fe80::1", "10.0.0.5"]'

    web = found(f"[web]\n{said}\n", tmp_path)

    assert web.allow_hosts == ("status.lab", "2001:db8::1", "fe80::1", "10.0.0.5")


def test_a_slip_in_the_environment_or_in_what_is_typed_is_told_by_its_name(tmp_path: Path) -> None:
    """Each mistake once."""
    with pytest.raises(ConfigError) as caught:
        found("", tmp_path, {"STATUSD_WEB__LISEN": "1"}, allow_hosts=["a/b"])

    assert list(caught.value.problems) == [
        "environment: unknown variable STATUSD_WEB__LISEN, did you mean STATUSD_WEB__LISTEN?",
        "--allow-host: 'a/b' is no name of a host: without a scheme and without a port",
    ]


def test_what_kubernetes_injects_for_a_service_of_the_web_is_no_setting() -> None:
    """It is called statusd-web, as the deployment is; a slip beside it is one still."""
    ours = ["STATUSD_WEB_SERVICE_HOST", "STATUSD_WEB_PORT_9460_TCP_ADDR", "STATUSD_WEB_PORT"]
    environ = dict.fromkeys([*ours, "STATUSD_WEB__PORT"], "x")

    (told,) = unknown_variables(environ)

    assert "STATUSD_WEB__PORT" in told


@pytest.mark.parametrize(
    ("text", "environ", "is_it"),
    [
        ("[web]\n", {}, True),
        ('[redis]\nurl = "redis://a"\n[web]\n', {}, True),
        ('[redis]\nurl = "redis://a"\n', {}, False),
        (f"{JOB}[web]\n", {}, False),
        ('name = "a"\n[web]\n', {}, False),
        ("[web]\n", {"STATUSD_WORKER__COMMAND": '["sleep", "9"]'}, False),
    ],
)
def test_a_file_for_the_web_alone_says_nothing_of_a_unit(
    text: str, environ: dict[str, str], is_it: bool, tmp_path: Path
) -> None:
    """Nor does the environment."""
    (tmp_path / "a.toml").write_text(text)

    assert is_for_web(tmp_path / "a.toml", environ) is is_it


def test_a_file_for_the_web_alone_is_right_and_is_said_to_be_one(tmp_path: Path) -> None:
    """What it comes to: the broker, the page, and who gets in by what."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    text = '[redis]\nnamespace = "lab"\n[web]\ntoken_file = "token"\nroot_path = "/s"\n'
    (tmp_path / "web.toml").write_text(text)

    done = statusd("check", "web.toml", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "web.toml: no mistakes; for `statusd web` alone, as it has no [worker]\n"
        "  broker   redis://127.0.0.1:6379/0, namespace lab\n"
        "  page     http://127.0.0.1:9460/s/\n"
        "  lets in  operators by token\n"
    )


def test_a_daemon_passes_it_over_and_a_folder_says_it_once(tmp_path: Path) -> None:
    """A change of it needs no restart of any unit, and one unit's file is no place for it."""
    old = made({"worker": {"command": ["a"]}, "web": {"listen": "1"}})
    new = made({"worker": {"command": ["a"]}, "web": {"listen": "2", "allow_hosts": ["b"]}})
    (tmp_path / "statusd.toml").write_text("[web]\nread_only = true\n")
    (tmp_path / "a.toml").write_text(JOB)

    right = statusd("check", ".", cwd=tmp_path)
    (tmp_path / "a.toml").write_text(f'[web]\nlisten = "1"\n{JOB}')
    wrong = statusd("check", ".", cwd=tmp_path)

    assert changes(old, new) == ([], [])
    assert (right.returncode, right.stderr) == (0, "")
    assert "  web      http://127.0.0.1:9460/: passed over by a daemon\n" in right.stdout
    assert wrong.stderr.startswith("statusd: a.toml:1: web: it is the daemon's, for all of its")


# ---- what is right by itself, and wrong where it is ----------------------------------------------


def token(file: Path, text: str = TOKEN, mode: int = 0o600) -> str:
    """Write a token's file and return its name."""
    file.write_text(text)
    file.chmod(mode)
    return str(file)


def told(web: Web) -> list[tuple[str, bool]]:
    """Return the key of each doubt, and whether it is a mistake."""
    return [(doubt.key, doubt.is_mistake) for doubt in doubts(web)]


def test_a_token_that_is_none_is_a_mistake_and_one_that_may_come_or_leak_is_a_doubt(
    tmp_path: Path,
) -> None:
    """A file may be made later; nobody can want one that lets nobody in, or everybody."""
    mine, other = token(tmp_path / "a"), token(tmp_path / "b", OTHER)

    assert told(Web(token_file=mine, viewer_token_file=other)) == []
    assert told(Web(token_file=str(tmp_path / "none"))) == [("token_file", False)]
    open_one = token(tmp_path / "c", OTHER, 0o644)
    assert told(Web(token_file=mine, viewer_token_file=open_one)) == [("viewer_token_file", False)]
    short = token(tmp_path / "d", TOKEN[:15])
    assert told(Web(token_file=short)) == [("token_file", True)]
    same = token(tmp_path / "e")
    assert told(Web(token_file=mine, viewer_token_file=same)) == [("viewer_token_file", True)]


def test_a_proxy_that_is_everybody_or_nobody_is_a_doubt() -> None:
    """And one that can be gone past."""
    header, proxy = "x-remote-user", ("127.0.0.1/32",)

    assert told(Web(user_header=header, trusted_proxies=proxy, root_path="/s")) == []
    assert told(Web(user_header=header)) == [("user_header", False)]
    assert told(Web(trusted_proxies=("0.0.0.0/0",))) == [("trusted_proxies", False)]
    assert told(Web(listen="0.0.0.0:9460", root_path="/s")) == [("listen", False)]


def test_check_tells_doubts_as_warnings_and_mistakes_with_the_rest(tmp_path: Path) -> None:
    """Of a file of its own, of a unit's and of a folder's alike."""
    doubtful, wrong = "[web]\nuser_header = 'X-User'\n", "[web]\ntoken_file = 'short'\n"
    (tmp_path / "short").write_text("short")
    (tmp_path / "a.toml").write_text(JOB)
    for text, code in ((doubtful, 0), (wrong, 78)):
        for name, words in (("web.toml", ["web.toml"]), ("statusd.toml", ["."])):
            (tmp_path / name).write_text(text)
            done = statusd("check", *words, cwd=tmp_path)
            (tmp_path / name).unlink()
            assert done.returncode == code, done.stderr
            assert f"{name}:2: web." in done.stderr
        (tmp_path / "u.toml").write_text(JOB + text)
        assert statusd("check", "u.toml", cwd=tmp_path).returncode == code
        (tmp_path / "u.toml").unlink()


# ---- where it is found ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listen", "printed", "names"),
    [
        ("9460", "http://127.0.0.1:9460/statusd/", {"127.0.0.1", "lab"}),
        ("[::1]:9460", "http://[::1]:9460/statusd/", {"::1", "lab"}),
        ("10.0.0.5:9460", "http://10.0.0.5:9460/statusd/", {"10.0.0.5", "lab"}),
        ("Gpu-3:9460", "http://gpu-3:9460/statusd/", {"gpu-3", "lab"}),
        ("0.0.0.0:9460", f"http://{socket.gethostname()}:9460/statusd/", {"lab"}),
        ("[::]:9460", f"http://{socket.gethostname()}:9460/statusd/", {"lab"}),
    ],
)
def test_what_is_printed_is_where_it_is(
    listen: str, printed: str, names: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """And is one of its names; everywhere is none."""
    settings = load_web(
        None, {"listen": listen, "root_path": "/statusd", "allow_hosts": ["lab"]}, {}
    )

    cli.welcome(settings, parse_listen(settings.listen), "")

    assert capsys.readouterr().out == f"{printed}\n"
    assert cli.hosts_of(settings) == names


def test_the_same_token_for_both_is_refused(tmp_path: Path) -> None:
    """Whoever has it could be either; as `statusd check` says."""
    for name in ("operators", "viewers"):
        (tmp_path / name).write_text(TOKEN)
    web = Web(token_file=str(tmp_path / "operators"), viewer_token_file=str(tmp_path / "viewers"))

    with pytest.raises(ConfigError, match="viewers: it holds the operators' token"):
        cli.tokens_of(web)
    (tmp_path / "viewers").write_text(OTHER)
    assert cli.tokens_of(web)[1] == ""
