"""A socket is reached wherever it is."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.tools.unix import connect

pytestmark = pytest.mark.nightly  # it tests what tests are made with


def test_a_folder_with_a_long_name_is_no_hindrance(tmp_path: Path) -> None:
    """The system takes 107 bytes; the path here has more."""
    folder = tmp_path / ("a" * 100)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        here = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        listener.bind(f"/proc/self/fd/{here}/s")
        os.close(here)
        listener.listen()
        before = len(os.listdir("/proc/self/fd"))

        connect(client, folder / "s")

        assert client.getpeername()
        assert len(os.listdir("/proc/self/fd")) == before
