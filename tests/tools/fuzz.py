"""Messages that look like commands, and what each of them may do: the oracle of the fuzz tests.

What a message means is said here by construction, not by the code under test: words by a rule of
one line, objects by having been made so that none may be obeyed.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable

_WORD = re.compile(
    rb"(?:\xef\xbb\xbf)?[ \t]*(\"?)[ \t]*([A-Za-z][A-Za-z0-9_-]*)[ \t]*\1[ \t]*(\r?\n)?[ \t]*"
)
"""ASCII, with blanks and one newline around it, as it is or as a JSON string; UTF-8's mark."""

STEERING = ("start", "pause", "resume", "stop", "READY", "RUNNING", "PAUSED")
"""What may be obeyed, and doesn't end the unit."""
FATAL = ("end", "ENDING", "END")
UNHEARD = ("reset", "force", "crash", "retry", "fail", "exited", "to_END", "INIT")
"""Words and triggers that nobody may say to a unit that works."""
_PLACES = ("Sta\u0433t", "\uff25\uff2e\uff24", "\u202eDNE", "end\0", "END;END", "pause pause", "")

HARMLESS = [
    '{"command": "%s", "targets": {"name": "x"}}',
    '{"command": "%s", "target": {"name": "somebody-else-*"}}',
    '{"command": "%s", "target": {"state": ["FAILED"]}}',
    '{"command": "%s", "target": {"tag": ["nobodys"]}}',
    '{"command": "%s", "expires": "2001-01-01T00:00:00Z"}',
    '{"command": "%s", "expires": "soon"}',
    '{"command": "%s", "boot": 1}',
    '{"command": "%s", "run": 0}',
    '{"command": "%s", "args": {"x": NaN}}',
    '{"command": "%s", "args": {"x": 1e999}}',
    '{"command": "%s", "args": {"x": {"y": 1}}}',
    '{"command": "%s", "command": "status"}',
    '{"command": "status", "command": "%s"}',
    '{"command": "%s", "reply_to": "mychannel"}',
    '{"command": "%s", "verdict": "done"}',
    '{"command": "%s", "event": "1-1"}',
    '{"command": ["%s"]}',
    '{"command": {"command": "%s"}}',
    '{"cmd": "%s"}',
    '["%s"]',
    '{"command": "%s"',
    '{"command": "%s"}}',
    '{"command": "%s",}',
    "{'command': '%s'}",
    '\ufeff{"command": "%s"',
    '{"command": "%s", "id": "\\ud800", "by": 1}',
]
"""Objects that no unit may obey, whatever word is put into them."""


class Fuzz:
    """Makes messages at random.

    Args:
        chance: where all chance comes from; the same one makes the same messages.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._kinds: list[Callable[[], bytes]] = [
            *(self._steer, self._random, self._near, self._near, self._odd),
            *(self._object, self._object, self._mutated, self._deep),
        ]

    def message(self) -> bytes:
        """Return the next message; it never ends a unit."""
        while True:
            made = self._chance.choice(self._kinds)()
            if word_of(made).lower() not in {word.lower() for word in FATAL}:
                return made

    def _steer(self) -> bytes:
        if self._chance.random() > 0.2:  # most of the time nothing is to happen
            return self._chance.choice(UNHEARD).encode()
        word = self._chance.choice(STEERING)
        blank = self._chance.choice(("", " ", "\t", "  "))
        mark, quote = self._chance.choice(("", "", "\ufeff")), self._chance.choice(("", "", '"'))
        said = f"{mark}{blank}{quote}{self._any_case(word)}{quote}{blank}"
        return f"{said}{self._chance.choice(('', chr(10)))}".encode()

    def _any_case(self, word: str) -> str:
        return "".join(self._chance.choice((s.lower(), s.upper())) for s in word)

    def _random(self) -> bytes:
        longest = self._chance.choice((0, 1, 3, 8, 40, 300, 17_000))
        return self._chance.randbytes(self._chance.randint(0, longest))

    def _near(self) -> bytes:
        """A word with one sign too much, too few, or another one."""
        word = self._chance.choice((*STEERING, *FATAL)).encode()
        at = self._chance.randrange(len(word) + 1)
        more = self._chance.randbytes(1) if self._chance.random() < 0.7 else b""
        return word[:at] + more + word[at + self._chance.randint(0, 1) :]

    def _odd(self) -> bytes:
        return self._chance.choice(_PLACES).encode()

    def _object(self) -> bytes:
        return (self._chance.choice(HARMLESS) % self._chance.choice(FATAL)).encode()

    def _mutated(self) -> bytes:
        """An object with a word that is never obeyed, and bytes exchanged."""
        fields = {"command": self._chance.choice(UNHEARD), "id": "x", "args": {"a": 1}}
        made = bytearray(json.dumps(fields).encode())
        for _ in range(self._chance.randint(1, 4)):
            made[self._chance.randrange(len(made))] = self._chance.randrange(256)
        return bytes(made[: self._chance.randint(1, len(made))])

    def _deep(self) -> bytes:
        depth = self._chance.choice((50, 500, 5000))
        return b'{"command": ' + self._chance.choice((b"[", b'{"command": ')) * depth


def word_of(message: bytes) -> str:
    """Return the word that ``message`` is; empty if it is none."""
    found = _WORD.fullmatch(message)
    return found[2].decode() if found else ""
