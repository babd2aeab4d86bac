"""Tests of `statusd.supervision.tracebacks`: what Python prints, and what comes around it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from statusd.supervision.exits import last_words
from statusd.supervision.tail import Tail

FILM = "raise OSError('no film')"

PROGRAMS = {
    "plain": (FILM, "OSError: no film"),
    "at exit": (
        f"import atexit; atexit.register(print, 'saved', file=sys.stderr); {FILM}",
        "OSError: no film",
    ),
    "an error at exit": (
        f"import atexit; atexit.register(lambda: 1 / 0); {FILM}",
        "OSError: no film",
    ),
    "notes": (
        """
        e = OSError('no film')
        e.add_note('while looking')
        e.add_note('for film')
        raise e
        """,
        "OSError: no film",
    ),
    "chained": (
        """
        try:
            try: 1 / 0
            except ZeroDivisionError as e: raise ValueError('in between') from e
        except ValueError: raise OSError('no film')
        """,
        "OSError: no film",
    ),
    "chained, of a thread": (
        """
        def die():
            try: 1 / 0
            except ZeroDivisionError as e: raise ValueError('in a thread') from e
        import threading
        thread = threading.Thread(target=die)
        thread.start(), thread.join()
        sys.exit('no film')
        """,
        "no film",
    ),
    "ignored in a destructor": (
        """
        class Film:
            def __del__(self): raise ValueError('not this')
        film = Film()
        raise OSError('no film')
        """,
        "OSError: no film",
    ),
    "ignored alone": (
        """
        class Film:
            def __del__(self): raise ValueError('not this')
        film = Film()
        sys.exit('no film')
        """,
        "no film",
    ),
    "group": (
        """
        raise ExceptionGroup('no film', [ValueError(1), ExceptionGroup('x', [TypeError(2)])])
        """,
        "ExceptionGroup: no film (2 sub-exceptions)",
    ),
    "group with tracebacks in it": (
        """
        import asyncio
        async def bad(): raise ValueError('inside')
        async def main():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(bad())
        asyncio.run(main())
        """,
        "ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)",
    ),
    "group, and then another": (
        """
        try: raise ExceptionGroup('eg', [ValueError(1)])
        except ExceptionGroup as e: raise OSError('no film') from e
        """,
        "OSError: no film",
    ),
    "a thread first": (
        """
        import threading
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start(), thread.join()
        raise OSError('no film')
        """,
        "OSError: no film",
    ),
    "a thread later": (
        """
        import threading, time
        main = threading.main_thread()
        threading.Thread(target=lambda: (main.join(), time.sleep(0.05), 1 / 0)).start()
        raise OSError('no film')
        """,
        "OSError: no film",
    ),
    "a thread alone": (
        """
        import threading
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start(), thread.join()
        sys.exit(3)
        """,
        "ZeroDivisionError: division by zero",
    ),
    "a child's": (
        """
        import multiprocessing
        def bad(): 1 / 0
        child = multiprocessing.get_context('fork').Process(target=bad)
        child.start(), child.join()
        sys.exit('no film')
        """,
        "no film",
    ),
    "a task's": (
        """
        import asyncio
        async def bad(): raise ValueError('not this')
        async def main():
            asyncio.get_running_loop().create_task(bad())
            await asyncio.sleep(0.01)
            import gc; gc.collect()
            print('the rest', file=sys.stderr)
            sys.exit('no film')
        asyncio.run(main())
        """,
        "no film",
    ),
    "said": ("sys.exit('no film')", "no film"),
    "logged before": (
        """
        import logging
        try: 1 / 0
        except ZeroDivisionError: logging.exception('trying again')
        raise OSError('no film')
        """,
        "OSError: no film",
    ),
    "a log line after": (
        f"import atexit, logging; atexit.register(logging.error, 'bye'); {FILM}",
        "OSError: no film",
    ),
    "logged with its stack": (
        """
        import logging
        logging.warning('x', stack_info=True)
        logging.warning('%d', 'no number')
        sys.exit('no film')
        """,
        "no film",
    ),
    "warned at exit": (
        """
        import atexit, warnings
        atexit.register(warnings.warn, 'there are leaked objects')
        sys.exit('no film')
        """,
        "no film",
    ),
    "syntax": ("compile('x = = 1', 'film.py', 'exec')", "SyntaxError: invalid syntax"),
    "more lines, indented": (
        r"raise RuntimeError('bad\n\tfirst thing\n  second thing')",
        "RuntimeError: bad first thing second thing",
    ),
    "more lines, announced": (
        r"raise RuntimeError('these are missing:\nfilm\n')",
        "RuntimeError: these are missing: film",
    ),
    "more lines, after nothing": (r"raise RuntimeError('\nno film')", "RuntimeError: no film"),
    "more lines": (r"raise RuntimeError('no film\nbuy some')", "RuntimeError: no film"),
    "of a class inside": (
        """
        def main():
            class NoFilm(Exception): pass
            raise NoFilm('here')
        main()
        """,
        "main.<locals>.NoFilm: here",
    ),
    "without words": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "deep": (
        "def f(n): return f(n + 1) + 1\nf(0)",
        "RecursionError: maximum recursion depth exceeded",
    ),
    "long": ("raise OSError('no film ' * 10_000)", ("OSError: " + "no film " * 100)[:500]),
    "coloured": (f"import os; {FILM}", "OSError: no film"),
    "bare": ("", ""),
}
"""What a program does -> what is told of it."""


def told(program: str, directory: Path) -> str:
    """Run a program of that text from a file, and return the reason of its end."""
    file = directory / "film.py"
    file.write_text(f"import sys\n{dedent(program)}\n", encoding="utf-8")
    environment = {"FORCE_COLOR": "1"} if "import os" in program else {}
    return words_of([sys.executable, "-I", str(file)], environment)


def words_of(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a command and return the reason of its end."""
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    tail = Tail()
    tail.take(done.stderr)
    return last_words(done.returncode, tail.lines())


@pytest.mark.fault("J14")
@pytest.mark.parametrize("what", PROGRAMS)
def test_the_exception_that_ended_it_is_why(what: str, tmp_path: Path) -> None:
    """Whatever came before it, after it and around it."""
    program, words = PROGRAMS[what]

    assert told(program, tmp_path) == words


@pytest.mark.fault("J14")
def test_a_script_that_cannot_be_compiled_says_so(tmp_path: Path) -> None:
    """Nothing was called yet, so there is no traceback above it."""
    (file := tmp_path / "film.py").write_text("def main():\nreturn = 1\n", encoding="utf-8")

    assert words_of([sys.executable, str(file)]).startswith(
        "IndentationError: expected an indented"
    )
    file.write_text("import sys; sys.exit('looking for film: none')")
    assert words_of([sys.executable, str(file)]) == "looking for film: none"


FRAME = '  File "film.py", line 3, in main'
HEAD = "Traceback (most recent call last):"
GROUP = [
    f"  + Exception Group {HEAD}",
    f"  | {FRAME}",
    "  | ExceptionGroup: no film (1 sub-exception)",
    "  +-+---------------- 1 ----------------",
    f"    | {HEAD}",
    f"    | {FRAME}",
    "    | OSError: the film is out",
    "    +------------------------------------",
]


@pytest.mark.fault("J14")
@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([FRAME, "    look()", FRAME, "OSError: no film", "bye"], "OSError: no film"),
        (["    look()", FRAME, "    look()", "    ^^^^", "OSError: x"], "OSError: x"),
        (["Call stack:", FRAME, "Message: 'x'", "bye"], "bye"),
        (["[rank0]: " + line for line in (HEAD, FRAME, "OSError: no film")], "OSError: no film"),
        (["[rank0]: " + line for line in GROUP], "ExceptionGroup: no film (1 sub-exception)"),
        ([f"12:00 ERROR {HEAD}", FRAME, "OSError: no film", "bye"], "OSError: no film"),
        ([HEAD, FRAME, "Some other thing", "bye"], "bye"),
        ([HEAD, "KeyboardInterrupt", "bye"], "KeyboardInterrupt"),
        ([HEAD, FRAME], 'File "film.py", line 3, in main'),
        ([HEAD], HEAD),
        (["film.py:3: UserWarning: x", "  look()", ""], "look()"),
    ],
)
def test_what_is_torn_or_marked_is_read_as_well(lines: list[str], words: str) -> None:
    """Its beginning is gone, or somebody has put something before each line."""
    assert last_words(1, lines) == words
