"""The manual page: as the parsers are, and read by groff without a warning."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from statusd.cli import VERBS
from tests.tools.man import FILE, page


def test_the_page_is_made_of_the_parsers() -> None:
    """`make man` writes it anew."""
    assert FILE.read_text(encoding="utf-8") == page()
    assert all(f".SS statusd {verb}\n" in page() for verb in VERBS)


def test_groff_has_nothing_to_complain_of() -> None:
    """And shows the examples as they stand."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("no groff here")

    done = subprocess.run(
        [groff, "-Tutf8", "-P-c", "-mandoc", "-ww", str(FILE)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "  statusd send end --name 'gpu-*' --tag lab" in done.stdout
