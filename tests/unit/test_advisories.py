"""Tests of `statusd.doctor.advisories`: which server has which hole."""

from __future__ import annotations

import re

import pytest

from statusd.doctor.advisories import ADVISORIES, AS_OF, CLIENTS, TLS, Advisory, known, parse


@pytest.mark.parametrize(
    ("version", "is_in"),
    [
        ("6.0.16", True),  # a line that got no cure
        ("6.2.19", True),
        ("6.2.20", False),
        ("7.0.15", True),
        ("7.2.4", True),
        ("7.2.11", False),
        ("8.2.1", True),
        ("8.2.2", False),
        ("8.4.0", False),  # begun after the cure
        ("255.255.255", False),  # a build from the sources' newest
    ],
)
def test_each_line_of_releases_has_its_own_cure(version: str, is_in: bool) -> None:
    """A line without one is as bad as its last release."""
    hole = Advisory("CVE-0", "redis", "it", ("6.2.20", "7.2.11", "7.4.6", "8.0.4", "8.2.2"))

    assert hole.is_in(version) is is_in


def test_a_hole_may_be_younger_than_a_version() -> None:
    """What was written later can't be wrong before."""
    hole = Advisory("CVE-0", "redis", "it", ("7.4.9", "8.6.3"), since="7.2.0")

    assert not hole.is_in("7.0.15")
    assert hole.is_in("7.2.0")
    assert hole.cure("7.2.0") == "7.4.9"
    assert hole.cure("8.0.1") == "8.6.3"
    assert hole.cure("8.6.1") == "8.6.3"


def test_versions_are_numbers() -> None:
    """And no texts: 10 is more than 9."""
    assert parse("8.10.1") > parse("8.9.9")
    assert parse("9.1.2-rc1") == (9, 1, 0)


def test_the_table_is_sound() -> None:
    """Every entry has what a reader looks up, ascending; a dated table, of both servers."""
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", AS_OF)
    assert {one.software for one in ADVISORIES} == {"redis", "valkey"}
    for one in ADVISORIES:
        assert re.fullmatch(r"CVE-20\d\d-\d{4,6}", one.number)
        assert [*map(parse, one.fixed)] == sorted(map(parse, one.fixed))
        assert len({parse(good)[:2] for good in one.fixed}) == len(one.fixed)
        assert one.only in ("", TLS, CLIENTS)


def test_the_newest_of_each_line_has_none() -> None:
    """As of the day of the table."""
    for software, newest in {
        "redis": ("6.2.24", "7.2.16", "7.4.11", "8.2.9", "8.4.6", "8.6.6", "8.8.2", "8.10.1"),
        "valkey": ("7.2.16", "8.0.13", "8.1.12", "9.0.8", "9.1.4"),
    }.items():
        assert [known(software, version) for version in newest] == [[]] * len(newest)
