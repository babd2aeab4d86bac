"""What somebody has typed in the place of settings: a function or a program, and little besides.

It is judged as a file is, with the same words for the same mistakes. Rules of this file: no file is
read; what was typed counts more than the environment, and that more than what holds by default.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from statusd.lifecycles.load import Source
from statusd.settings import interpreters
from statusd.settings.layers import has
from statusd.settings.load import here, load_source
from statusd.settings.models import Settings
from statusd.settings.variables import said_in, variable
from statusd.settings.verdict import Judge
from statusd.wire.names import typed_name


class Typed(Source):
    """Settings that were typed.

    Args:
        function: ``module:name``; or ``command``: a program with its arguments.
        more: other tables and keys, as a file would have them; of an empty one nothing is said.
    """

    wins = True

    def __init__(self, function: str = "", command: tuple[str, ...] = (), **more: Any) -> None:
        super().__init__(None)
        worker = {"function": function, "command": [*command]}  # both: neither is the environment's
        self.content = {"worker": worker, **{key: value for key, value in more.items() if value}}
        runs = interpreters.script(command)
        program = re.sub(r"\.[A-Za-z]+$", "", os.path.basename(command[0] if command else ""))
        self.name = typed_name((runs and runs.name) or program or function.partition(":")[0])
        """The unit's, if nobody has chosen one."""
        words = runs.words if runs else command[:1]
        self.line = f"statusd run {shlex.join(['--', *words] if words else [function])}"
        """What is to be typed for that job, without arguments: one may be a secret. What an
        interpreter is typed for is the job, and none."""

    def place(self, path: tuple[str | int, ...]) -> str:
        """Return where what stands at ``path`` was said, and its key."""
        place = super().place(path)
        if not has(self.content, path):
            return place  # the environment has said it, or nobody
        return f"command line{place.removeprefix('settings')}"


def load_typed(
    typed: Typed, environ: Mapping[str, str] = os.environ, *, judge: Judge = here
) -> Settings:
    """Return the settings that were typed, and what the environment says besides.

    Raises:
        ConfigError: with every mistake that was found, one a line.
    """
    paths = [path for path in said_in(typed.content) if len(path) > 1 or path == ("goal",)]
    said = {variable(path) for path in paths}
    rest = {name: value for name, value in environ.items() if name not in said}
    return load_source(typed, typed.name, rest, judge)
