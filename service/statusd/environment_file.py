"""Files of environment variables, as `systemd.exec(5)` and Docker have them."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from statusd.core.errors import ConfigError
from statusd.reading import read_words


def environment_of(file: Path) -> dict[str, str]:
    """Return the variables of an environment file: lines ``NAME=value``.

    Raises:
        ConfigError: it can't be read, or a line is no such thing.
    """
    from dotenv import dotenv_values

    try:
        text = read_words(file.resolve(strict=True))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: not UTF-8") from None
    found = dotenv_values(stream=StringIO(text), interpolate=False)
    for name, value in found.items():
        if value is None:  # it may be a secret: the file of a password, say
            rows = text.splitlines()
            number = next((n for n, row in enumerate(rows, 1) if row.split()[-1:] == [name]), 1)
            raise ConfigError(f"{file}:{number}: a line is NAME=value")
    return {name: value for name, value in found.items() if value is not None}
