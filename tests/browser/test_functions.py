"""The page's pure functions, which node runs; and how large the page is."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

PAGE = Path(str(files("statusd.web").joinpath("page")))
MOST_BYTES = 100 * 1024
"""All files of the page together, packed one by one as they go out."""


def test_functions(tmp_path: Path) -> None:
    """Order, filter, numbers, what may be said and what became of it: see functions.test.mjs."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node isn't installed")
    for file in PAGE.glob("*.js"):
        shutil.copy(file, tmp_path)
    shutil.copy(Path(__file__).with_name("functions.test.mjs"), tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(
        [node, "--test", "functions.test.mjs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]


def test_the_page_is_small() -> None:
    """A phone in a cellar has it in a moment."""
    packed = {file.name: len(gzip.compress(file.read_bytes())) for file in PAGE.iterdir()}
    assert sum(packed.values()) <= MOST_BYTES, packed


def test_whose_code_it_is_stands_beside_it() -> None:
    """What isn't ours has its licence in the same folder, and goes out with it."""
    assert "Chris Pettitt" in PAGE.joinpath("dagre.esm.js.LEGAL.txt").read_text()
