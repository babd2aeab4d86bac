"""Tests of `statusd.web.access`: who somebody is, and for how long."""

from __future__ import annotations

import asyncio
import json
import resource
from pathlib import Path

import pytest

from statusd.core.errors import ConfigError, Unavailable
from statusd.web import access as rules
from statusd.web.access import Access, Role, Token, checked, read_token

OPERATOR, VIEWER = "operator-0123456789", "viewer-0123456789"


class Clock:
    """Time that goes by when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def of_both() -> tuple[Access, Clock, dict[Role, Token]]:
    """Return rules with two tokens, their clock, and the tokens."""
    tokens = {Role.OPERATOR: Token(OPERATOR), Role.VIEWER: Token(VIEWER)}
    clock = Clock()
    return Access(tokens, clock), clock, tokens


def test_a_token_stands_for_its_role() -> None:
    """And nothing that is like one."""
    access, _, _ = of_both()

    found = access.by_token(OPERATOR)
    assert found is not None
    assert (found.role, found.is_browser) == (Role.OPERATOR, False)
    for wrong in ("", OPERATOR[:-1], OPERATOR + "x", OPERATOR.upper(), "\ud800", VIEWER * 99):
        assert access.by_token(wrong) is None
        assert access.begin(wrong) == ""


def test_who_has_the_token_of_both_only_looks() -> None:
    """The same in both files is a mistake, and is taken for the lesser right."""
    for order in ((Role.OPERATOR, Role.VIEWER), (Role.VIEWER, Role.OPERATOR)):
        access = Access({role: Token(OPERATOR) for role in order}, Clock())
        found = access.by_token(OPERATOR)
        assert found is not None
        assert found.role is Role.VIEWER


def test_a_session_lasts_while_it_is_used() -> None:
    """Twelve hours after the last use it is over, and doesn't come back."""
    access, clock, _ = of_both()
    session = access.begin(VIEWER)

    for _ in range(5):
        clock.now += rules.SESSION_S - 1
        assert access.by_session(session) is not None
    clock.now += rules.SESSION_S
    assert access.by_session(session) is None
    clock.now -= rules.SESSION_S
    assert access.by_session(session) is None


def test_a_session_s_id_is_ours_and_no_token() -> None:
    """Each begins with a new one; what somebody has thought of is none."""
    access, _, _ = of_both()
    ids = {access.begin(OPERATOR) for _ in range(20)}

    assert len(ids) == 20
    assert min(map(len, ids)) >= 43
    for chosen in ("", "chosen", OPERATOR, VIEWER):
        assert access.by_session(chosen) is None


def test_a_session_that_was_ended_is_over() -> None:
    """And the others go on; to end none is no mistake."""
    access, _, _ = of_both()
    one, other = access.begin(OPERATOR), access.begin(OPERATOR)

    access.end(one)
    access.end("no such one")

    assert access.by_session(one) is None
    assert access.by_session(other) is not None


def test_what_began_with_a_token_ends_with_it() -> None:
    """Sessions, and what is still being read; those of the other role go on."""
    access, _, tokens = of_both()
    session, viewers = access.begin(OPERATOR), access.begin(VIEWER)
    bearer, reader = access.by_token(OPERATOR), access.by_session(session)
    assert bearer is not None
    assert reader is not None
    assert access.still(bearer)
    assert access.still(reader)

    tokens[Role.OPERATOR].text = "another-0123456789"

    assert not access.still(bearer)
    assert not access.still(reader)
    assert access.by_session(session) is None
    assert access.by_session(viewers) is not None
    assert access.by_token("another-0123456789") is not None

    tokens[Role.OPERATOR].text = OPERATOR
    assert access.by_session(session) is None


def test_where_there_is_no_token_nobody_gets_in() -> None:
    """Also not by an empty one."""
    access, _, tokens = of_both()
    session = access.begin(OPERATOR)
    tokens[Role.OPERATOR].text = ""

    assert access.by_token("") is None
    assert access.by_session(session) is None
    assert access.begin("") == ""


def test_a_token_that_is_away_ends_nothing() -> None:
    """Nobody gets in meanwhile; if it comes back as it was, so do its sessions, and no others."""
    access, _, tokens = of_both()
    session = access.begin(OPERATOR)
    tokens[Role.OPERATOR].text = ""
    assert access.by_session(session) is None

    tokens[Role.OPERATOR].text = OPERATOR
    assert access.by_session(session) is not None
    tokens[Role.OPERATOR].text = ""
    assert access.by_session(session) is None
    tokens[Role.OPERATOR].text = "another-0123456789"
    assert access.by_session(session) is None


def test_there_are_only_so_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was used longest ago goes, of the role that begins another one."""
    monkeypatch.setattr(rules, "MOST_SESSIONS", 3)
    access, _, _ = of_both()
    operators = access.begin(OPERATOR)
    first, second, third = (access.begin(VIEWER) for _ in range(3))
    assert access.by_session(first) is not None

    fourth = access.begin(VIEWER)

    alive = [access.by_session(one) is not None for one in (first, second, third, fourth)]
    assert alive == [True, False, True, True]
    assert access.by_session(operators) is not None


@pytest.mark.parametrize(
    "bad",
    ["", "short", "x" * 257, "has a blank in it", "new\nline-0123456789", "ümlaut-01234567890"],
)
def test_a_token_is_long_and_plain(bad: str) -> None:
    """What says so doesn't show it."""
    with pytest.raises(ConfigError) as caught:
        checked(bad)
    assert bad == "" or bad not in str(caught.value)


def test_a_file_that_can_t_be_read_says_why(tmp_path: Path) -> None:
    """With its name, and nothing of what stands in it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff" * 20)
    (tmp_path / "short").write_text("secret\n")
    (tmp_path / "long").write_text("s" * 100_000)
    for name in ("missing", "folder", "binary", "short", "long"):
        with pytest.raises(Unavailable) as caught:
            read_token(tmp_path / name)
        assert f"token file {tmp_path / name}: " in str(caught.value)
        assert "secret" not in str(caught.value)

    (tmp_path / "good").write_text(f"  {OPERATOR}\r\n\n")
    assert read_token(tmp_path / "good") == OPERATOR


def logged(capfd: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    """Return what we have said since the last time; a test before may have left lines, too."""
    found = map(json.loads, capfd.readouterr().err.splitlines())
    return [one for one in found if one["event"].startswith("web.")]


def test_a_file_is_read_again_and_its_trouble_told_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """While it can't be read nobody gets in by it; then they do."""
    file = tmp_path / "token"
    token = Token(OPERATOR, file)
    told: list[str] = []

    async def look(times: int = 1) -> str:
        for _ in range(times):
            await token.look()
        told.extend(one["event"] for one in logged(capfd))
        return token.text

    assert asyncio.run(look(3)) == ""
    file.write_text(VIEWER)
    assert asyncio.run(look(3)) == VIEWER
    file.write_text("")
    assert asyncio.run(look(2)) == ""
    assert told == ["web.token_unreadable", "web.token_read", "web.token_unreadable"]


def test_where_we_can_t_look_the_token_holds(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever takes our descriptors ends no session; a file is as it was, as far as we know."""
    file = tmp_path / "token"
    file.write_text(VIEWER)
    token = Token(OPERATOR, file)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def look() -> str:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            await token.look()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return token.text

    assert asyncio.run(look()) == OPERATOR
    (told,) = logged(capfd)
    assert told["event"] == "web.token_unreadable"
    assert told["reason"] == f"{file}: Too many open files"
