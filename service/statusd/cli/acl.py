"""``statusd acl``: the lines of a Redis ACL file for daemon, operator and viewer."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from statusd.cli import complain, out
from statusd.cli.files import find_file, settings_file
from statusd.core.errors import ConfigError
from statusd.wire.names import NAMESPACE
from statusd.wire.rights import ROLES, SHUT, example_password, user_line

EXAMPLE = "mychannel"
"""The channel that is granted when no settings name one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments the verb takes."""
    names = [role.name for role in ROLES]
    parser.add_argument(
        "settings",
        nargs="*",
        type=settings_file,
        metavar="FILE|FOLDER",
        help="settings of a unit, or a folder with those of several; default: those found",
    )
    parser.add_argument(
        "--role", action="append", choices=names, help="only that one; may be given for several"
    )
    parser.add_argument("--namespace", help="default: the settings' one, or statusd")
    parser.add_argument(
        *("-c", "--channel"),
        action="append",
        default=[],
        metavar="CHANNEL",
        help="one that units hear; default: those of the settings",
    )
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        type=settings_file,
        metavar="FILE|FOLDER",
        help="the same; may be given for several",
    )
    parser.epilog = """\
examples:
  statusd acl --file job.toml > statusd.acl
  statusd acl units/ > statusd.acl
  statusd acl --role viewer -c mychannel

Choose passwords instead of change-me-..., and name the file in the server's configuration: \
aclfile /etc/redis/statusd.acl (docs/security.md).

exit codes: 0 printed, 78 mistakes in the settings"""


def main(arguments: argparse.Namespace) -> int:
    """Print the lines; the last one shuts out everybody else."""
    namespace, channels = _found(arguments)
    _check(namespace, channels)
    for role in ROLES:
        if arguments.role is None or role.name in arguments.role:
            out.say(user_line(role, namespace, channels, example_password(role)))
    if arguments.role is None:
        out.say(SHUT)
    return 0


def _check(namespace: str, channels: list[str]) -> None:
    """Refuse what would be another rule in an ACL file, or the end of a selector.

    Raises:
        ConfigError: there is such a thing.
    """
    if not re.fullmatch("[A-Za-z0-9._-]{1,64}", namespace):
        raise ConfigError(f"{namespace!a} is no namespace: letters, digits and . _ -, at most 64")
    for channel in channels:
        if not re.fullmatch(r"[!-~]*[!-(*-~]", channel):
            why = "in an ACL file it is ASCII without blanks, and has no ) at its end"
            raise ConfigError(f"the channel {channel!a}: {why}")


def _found(arguments: argparse.Namespace) -> tuple[str, list[str]]:
    """Return namespace and channels of all the settings that are asked for."""
    from statusd.cli.settings import load_all

    given = [*arguments.settings, *arguments.file] or _default(arguments)
    loaded = [settings for one in given for settings in load_all(one, "acl")]
    namespaces = sorted({settings.redis.namespace for settings in loaded})
    if len(namespaces) > 1 and not arguments.namespace:
        told = ", ".join(namespaces)
        raise ConfigError(f"these files have several namespaces ({told}): one ACL file for each")
    channels = [channel for settings in loaded for channel in settings.control.channels]
    if not (loaded or arguments.channel):
        complain(f"no settings found: the channel {EXAMPLE} stands for yours (--file, -c)")
        channels = [EXAMPLE]
    namespace = arguments.namespace or next(iter(namespaces), NAMESPACE)
    return namespace, list(dict.fromkeys([*arguments.channel, *channels]))


def _default(arguments: argparse.Namespace) -> list[Path]:
    """Return the settings that are meant if nobody says, and say which."""
    file = None if arguments.channel else find_file("--file")
    if file is None:
        return []
    complain(f"for the channels of {file}")
    return [file]
