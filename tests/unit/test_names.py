"""Names in Redis, and Redis' own kind of glob."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statusd.wire.names import Names, default_name, is_pattern, settings_path
from statusd.wire.patterns import glob


def fits(pattern: str, name: str) -> bool:
    """Tell whether ``name`` fits ``pattern``."""
    return glob(pattern.encode()).fits(name.encode())


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("*", ["a", "a.b:c", "two\nlines"], []),
        ("lab.*", ["lab.", "lab.7"], ["lab", "xlab.7", "labs7", "LAB.7"]),
        ("*.lab", ["a.lab", ".lab"], ["lab", "a.labs"]),
        ("a**b", ["ab", "axyb"], ["a", "b"]),
        ("h?llo", ["hello", "hxllo", "h\nllo"], ["hllo", "heello"]),
        ("h[ae]llo", ["hello", "hallo"], ["hillo", "hllo", "haello"]),
        ("h[^e]llo", ["hallo", "h^llo"], ["hello", "hllo"]),
        ("h[!e]llo", ["h!llo", "hello"], ["hallo"]),
        ("h[a-c]llo", ["hbllo"], ["hdllo", "h-llo"]),
        ("h[^a-c]llo", ["hdllo"], ["hbllo"]),
        ("h[a-cx]", ["ha", "hc", "hx"], ["hd", "h-"]),
        ("h[-a]", ["h-", "ha"], ["hb"]),
        ("h[a^]", ["h^", "ha"], ["hb"]),
        ("h[*?]", ["h*", "h?"], ["hx", "h"]),
        (r"a\*b", ["a*b"], ["axb", r"a\*b"]),
        (r"a\?\[\\", ["a?[\\"], ["ax[\\"]),
        (r"\a\b", ["ab"], [r"\a\b"]),
        ("a.b", ["a.b"], ["axb"]),
        ("(a)+|$", ["(a)+|$"], ["aa"]),
    ],
)
def test_a_glob_fits_what_redis_lets_it_fit(
    pattern: str, fitting: list[str], other: list[str]
) -> None:
    """Whole names only; signs that mean something to a regular expression mean themselves."""
    assert [name for name in fitting if not fits(pattern, name)] == []
    assert [name for name in other if fits(pattern, name)] == []


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("h[", [], ["h", "h[", "hx"]),
        ("h[ae", ["ha", "he"], ["h", "hx", "h[ae"]),
        ("h[^", ["hx", "h["], ["h", "h[^"]),
        ("h[^ae", ["hx"], ["h", "ha"]),
        ("h[]llo", [], ["hllo", "h]llo", "h[]llo"]),
        ("h[^]llo", ["hallo", "h]llo"], ["hllo"]),
        ("h[]a]", [], ["h]", "ha", "ha]"]),
        ("h\\", ["h\\"], ["h", "h\\\\"]),
    ],
)
def test_a_class_without_end_or_content_is_no_error(
    pattern: str, fitting: list[str], other: list[str]
) -> None:
    """It goes to the end of the pattern, or fits nothing; a last backslash is one."""
    assert [name for name in fitting if not fits(pattern, name)] == []
    assert [name for name in other if fits(pattern, name)] == []


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        (r"h[\]]", ["h]"], ["h\\", "h\\]"]),
        (r"h[a\-c]", ["ha", "h-", "hc"], ["hb", "h\\"]),
        ("h[c-a]", ["ha", "hb", "hc"], ["hd", "h-"]),
        ("h[a-]", ["ha", "h]", "h^"], ["h-", "hb"]),
    ],
)
def test_a_class_reads_its_signs_as_redis_does(
    pattern: str, fitting: list[str], other: list[str]
) -> None:
    """A backslash in it means the next sign; a range may run backwards, or up to its bracket."""
    assert [name for name in fitting if not fits(pattern, name)] == []
    assert [name for name in other if fits(pattern, name)] == []


@given(st.text("ab-[]^\\*?!&~|.", max_size=12))
def test_no_pattern_is_an_error(pattern: str) -> None:
    """Whatever stands in the settings, a link can be made of it."""
    assert fits(pattern, pattern) in (True, False)


@given(st.text(min_size=1, max_size=12))
def test_every_sign_after_a_backslash_means_itself(name: str) -> None:
    """So any name can be written as a pattern."""
    pattern = "".join(f"\\{sign}" for sign in name)

    assert fits(pattern, name)
    assert not fits(pattern, name + "x")


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("a", False),
        ("a.b", False),
        (r"a\b", False),
        ("a]b", False),
        ("a^b", False),
        ("{a}", False),
        ("a*", True),
        ("a?", True),
        ("[a]", True),
        ("a[", True),
        (r"a\*", True),
    ],
)
def test_a_pattern_is_told_from_a_name(channel: str, expected: bool) -> None:
    """It is heard by PSUBSCRIBE."""
    assert is_pattern(channel) is expected


def test_the_names_of_a_unit() -> None:
    """As design section 4 has them; braces keep the keys of a unit together."""
    names = Names("lab", "camera")

    assert (names.control, names.verdicts, names.events) == (
        "lab:control",
        "lab:verdicts",
        "lab:events",
    )
    assert (names.history, names.status) == ("lab:history:{camera}", "lab:status:{camera}")


@pytest.mark.parametrize("name", ["a", "job@host.example", "gpu-7_b", "A.B.C"])
def test_the_keys_of_a_unit_share_their_slot(name: str) -> None:
    """What stands between the first braces decides it (Redis Cluster specification)."""
    names = Names("statusd", name)

    tags = [key.partition("{")[2].partition("}")[0] for key in (names.history, names.status)]

    assert tags == [name, name]


def test_the_control_channel_needs_no_unit() -> None:
    """`statusd send` has only the namespace."""
    assert Names("lab").control == Names("lab", "camera").control


@pytest.mark.parametrize(
    ("file", "base"),
    [
        ("/home/me/scan/statusd.toml", "scan"),
        ("/home/me/scan/laser.toml", "laser"),
        ("/home/me/night shift/statusd.toml", "night-shift"),
        ("/home/me/-x/statusd.toml", "x"),
        ("/etc/statusd/statusd.toml", "statusd"),
        ("/statusd.toml", "statusd"),
        ("/home/me/\u6e29\u5ea6/statusd.toml", "statusd"),
        (None, "statusd"),
    ],
)
def test_a_name_that_nobody_has_chosen_comes_from_folder_and_file(
    file: str | None, base: str
) -> None:
    """What a name can't have becomes a dash; nobody is called like an option."""
    found = default_name(Path(file) if file else None)

    assert found == f"{base}@{socket.gethostname()}"[:64]


def test_a_folder_is_the_same_however_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name, from within, or by a link to it."""
    folder = tmp_path / "scan"
    folder.mkdir()
    (tmp_path / "current").symlink_to("scan")
    monkeypatch.chdir(folder)
    ways = [folder / "statusd.toml", Path("statusd.toml"), tmp_path / "current" / "statusd.toml"]

    assert {default_name(way) for way in ways} == {f"scan@{socket.gethostname()}"[:64]}
    assert {settings_path(way) for way in ways} == {Path(os.path.realpath(folder), "statusd.toml")}
