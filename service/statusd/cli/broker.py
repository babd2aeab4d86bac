"""Where the broker is, for the verbs that only talk: found without settings, and told by ``-v``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statusd.cli import complain
from statusd.cli.files import believed_file, find_file, of_broker, settings_file
from statusd.wire.address import with_credentials
from statusd.wire.cures import cure
from statusd.wire.names import USUAL
from statusd.wire.url import DEFAULT_URL, parse_url

if TYPE_CHECKING:
    from statusd.core.errors import Unavailable
    from statusd.wire.address import Address


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where the broker is."""
    parser.add_argument("--url", help="the broker: redis://, rediss:// or unix://")
    parser.add_argument(
        "--file",
        type=settings_file,
        metavar="FILE|FOLDER",
        help="settings with a [redis] table, or a folder of units",
    )
    parser.add_argument("--namespace", help="default: the settings' one, or statusd")
    parser.add_argument("-v", "--verbose", action="store_true", help="say which broker, and why")


def add_socket(parser: argparse.ArgumentParser) -> None:
    """Add the argument that goes past the broker."""
    parser.add_argument(
        "--socket",
        nargs="?",
        const="",
        metavar="PATH",
        help="the daemons of this host over their sockets (a file or a folder), without a broker",
    )


_REFUSED = "Connection refused"
_CURE = "is it running? statusd run --embedded brings one; --url names another"
URL = "STATUSD_REDIS__URL"
_SENTINEL = ("sentinel_username", "sentinel_password", "sentinel_password_file")
_CREDENTIALS = ("username", "password", "password_file", *_SENTINEL)


def unreachable(error: Unavailable, how: str) -> str:
    """Return what is wrong with the broker, where its address came from, and what to do."""
    what = _CURE if _REFUSED in str(error) else cure(str(error))
    return f"{error} (found by {how})" + (f": {what}" if what else "")


def place(address: Address, namespace: str) -> str:
    """Return where units are looked for, in words; without a password."""
    return f"namespace {namespace!a} on {address}"


def file_of(arguments: argparse.Namespace) -> Path | None:
    """Return the settings file that says where the broker is; None if there is none."""
    file, is_there = _file(arguments, looks_around=True)
    return file if is_there else None


def _file(arguments: argparse.Namespace, *, looks_around: bool) -> tuple[Path | None, bool]:
    """Return the file that would say where the broker is, and whether it counts."""
    named = arguments.file
    file = of_broker(named) if named is not None else None
    if file is None and looks_around:
        says_where = bool(arguments.url or os.environ.get(URL))
        file = believed_file() if says_where else find_file("--file")
    return file, file is not None and (file == named or file.exists())  # a folder needs none


def find(
    arguments: argparse.Namespace, *, looks_around: bool = True, commands: bool = False
) -> tuple[Address, str, str]:
    """Return the broker's address, the namespace, and how they were found.

    The first of: ``--url``, ``STATUSD_REDIS__URL``, ``[redis]`` of ``--file`` (of a folder: of its
    ``statusd.toml``) or of the first settings file there is, the running ``--embedded`` broker of
    this folder, or of that file's (see `own_broker.find`), 127.0.0.1:6379.

    Args:
        looks_around: for settings, if no file is given.
        commands: the verb changes something.

    Raises:
        ConfigError: what was found is not valid, or may be a stranger's; or of several embedded
            brokers none is this folder's.
    """
    environ, named = os.environ, arguments.file
    file, is_there = _file(arguments, looks_around=looks_around)
    table = _table(file if is_there else None)
    namespace = (
        arguments.namespace
        or environ.get("STATUSD_REDIS__NAMESPACE")
        or str(table.get("namespace", "statusd"))
    )
    if not (arguments.url or environ.get(URL) or "url" in table):
        from statusd.cli import own_broker

        if named is not None and file == named:
            _warn_of_unit(named)
        url, how = own_broker.find(
            file,
            is_named=named is not None and looks_around,
            commands=commands,
            is_quiet=not looks_around,
            namespace=namespace,
        )
        if url:  # whose credentials are its own
            return parse_url(url), namespace, how
    url, how, where = _url(arguments, table, file)
    address = parse_url(url, where)
    of_file = {} if arguments.url and arguments.file is None else table
    return with_credentials(address, **_credentials(of_file)), namespace, how


def _credentials(table: dict[str, Any]) -> dict[str, str]:
    """Return those of the environment, and of settings that somebody answers for.

    Those of settings that were merely found don't go to a ``--url``: they were meant for another.
    """
    return {
        name: os.environ.get(f"STATUSD_REDIS__{name.upper()}") or str(table.get(name, ""))
        for name in _CREDENTIALS
    }


def _url(
    arguments: argparse.Namespace, table: dict[str, Any], file: Path | None
) -> tuple[str, str, str]:
    """Return the broker's url, how it was found, and what is to be looked at if it is wrong."""
    if arguments.url:
        return arguments.url, "--url", "--url"
    if os.environ.get(URL):
        return os.environ[URL], URL, f"environment: {URL}"
    if "url" in table:
        return str(table["url"]), str(file), f"{file}: redis.url"
    return DEFAULT_URL, "the default", ""


def _table(file: Path | None) -> dict[str, Any]:
    """Return ``[redis]`` of ``file``; nothing if there is no file, or no such table."""
    table = _content(file).get("redis", {}) if file is not None else {}
    return table if isinstance(table, dict) else {}


def _content(file: Path) -> dict[str, Any]:
    """Return what stands in ``file``.

    Raises:
        ConfigError: it can't be read, or isn't TOML.
    """
    import tomllib

    from statusd.core.errors import ConfigError
    from statusd.lifecycles.toml_lines import mistake
    from statusd.reading import read_words

    try:
        return tomllib.loads(read_words(file))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{file}: {mistake(error)}") from None


def _warn_of_unit(file: Path) -> None:
    """Warn if ``file`` is that of a unit in a folder, for which another one says the broker."""
    shared = file.parent / f"{USUAL}.toml"
    if file.name == shared.name or not shared.is_file():
        return
    from statusd.core.errors import ConfigError

    try:
        content = _content(shared)
    except ConfigError:  # nobody has named it
        return
    worker = content.get("worker", {})
    is_shared = isinstance(worker, dict) and not {"function", "command"} & worker.keys()
    if "redis" in content and is_shared:
        text = f"{file} names no broker, and {shared} does, for the units of its folder"
        complain(f"{text}: --file {file.parent}/")
