"""Tests of `statusd.reading`: files that other systems' editors have written."""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from pathlib import Path

import pytest

from statusd.core.errors import ConfigError
from statusd.environment_file import environment_of
from statusd.lifecycles.load import Source
from statusd.reading import Unfit, read_words
from statusd.wire.address import Address

pytestmark = pytest.mark.fault("J18")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A name for a file."""
    return tmp_path / "file"


@pytest.mark.parametrize("mark", [b"", BOM_UTF8], ids=["plain", "marked"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["unix", "windows", "mac"])
def test_a_mark_and_ends_of_lines_are_no_part_of_anything(
    mark: bytes, end: bytes, file: Path
) -> None:
    """Not of the first key, not of a value, not of a password (J18)."""
    file.write_bytes(mark + b"NAME='a'" + end + b"OTHER='b'" + end)
    as_toml, as_variables = Source(file).content, environment_of(file)
    file.write_bytes(mark + b"OTHER=b" + end)
    unquoted = environment_of(file)
    file.write_bytes(mark + b"secret" + end)

    assert as_toml == as_variables == {"NAME": "a", "OTHER": "b"}
    assert unquoted == {"OTHER": "b"}
    assert Address(password_file=str(file)).secret() == "secret"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_called_by_its_name(encoding: str, file: Path) -> None:
    """By whoever reads, and with the name of the file (J18)."""
    file.write_bytes('name = "a"\n'.encode(encoding))

    with pytest.raises(Unfit, match="it is UTF-16, and UTF-8 is wanted"):
        read_words(file)
    for read in (Source, environment_of):
        with pytest.raises(ConfigError) as caught:
            read(file)
        assert str(caught.value) == f"{os.fspath(file)}: it is UTF-16, and UTF-8 is wanted"


def test_a_mark_is_skipped_once_and_moves_no_line(file: Path) -> None:
    """A mistake is where the editor shows it (J18)."""
    file.write_bytes(BOM_UTF8 + b"a = 1\nb = \n")

    with pytest.raises(ConfigError, match=r"at line 2, column 5"):
        Source(file)
    file.write_bytes(BOM_UTF8 * 2 + b"a = 1\n")
    with pytest.raises(ConfigError, match=r"not valid TOML"):
        Source(file)
