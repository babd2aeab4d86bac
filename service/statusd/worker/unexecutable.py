"""Why a file can't be executed, in words for whoever wrote it: execve(2) has a number for it.

``No such file or directory`` may be said of a script that is there, and whose interpreter isn't.
Rules of this file: the standard library alone; nothing is executed; what isn't certain isn't said.
"""

from __future__ import annotations

import errno
import os
import re
import stat

MOST_BYTES = 4096
"""So much of a file is looked at: its first line, and what an ELF file says of its loader."""
_BOM = b"\xef\xbb\xbf"
_LOADER = re.compile(rb"/[!-~]*/ld[!-~]*\.so[!-~]*(?=\0)")
_TEXT = re.compile(rb"[\t-\r -~\x80-\xff]*")


def why(program: str, error: OSError) -> str:
    """Return what to say when the system has refused to execute ``program``, with the cure.

    Args:
        program: as it was given to execvp(3), in this folder and with this ``PATH``.
    """
    found = program if "/" in program else _in_path(program)
    said = objection(found, shown=program, is_refused=error.errno == errno.ENOEXEC)
    return f"{program}: {said or error.strerror}"


def found(program: str, path: str | None = None) -> str | None:
    """Return where a program is that may be executed; None for nowhere.

    As `shutil.which` does, with which half a MiB of archives would come into a daemon.

    Args:
        program: as execvp(3) is given it; path: where it is looked for, if not in our own ``PATH``.
    """
    path = os.environ.get("PATH", os.defpath) if path is None else path
    folders = [""] if "/" in program else path.split(os.pathsep) if path else []
    for file in (os.path.join(folder, program) for folder in folders):
        if os.path.isfile(file) and os.access(file, os.X_OK):
            return file
    return None


def _in_path(program: str) -> str:
    places = os.get_exec_path()
    return next(filter(os.path.isfile, (os.path.join(p, program) for p in places)), program)


def objection(
    file: str, *, shown: str = "", path: str | None = None, is_refused: bool = False
) -> str:
    """Return why ``file`` can't be executed, and the cure; empty if nothing is seen.

    Args:
        shown: how it is called in the cure; path: where its interpreter is looked for by env(1),
            if not in our own ``PATH``; is_refused: the system knows no such format.
    """
    shown = shown or file
    try:
        mode = os.stat(file).st_mode
        if stat.S_ISDIR(mode):
            return "it is a directory"
        if stat.S_ISREG(mode) and not os.access(file, os.X_OK):
            return _not_executable(file, mode, shown)
        head = _head(file) if stat.S_ISREG(mode) else None
    except OSError:  # it isn't there, or may be executed, and not be read
        head = None
    if head is None:
        return ""
    if head.startswith(b"\x7fELF"):
        return _of_binary(head, is_refused=is_refused)
    if head.removeprefix(_BOM).startswith(b"#!"):
        return _of_script(head, shown, path)
    return _of_neither(head, shown, is_refused=is_refused)


def _head(file: str) -> bytes:
    fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        return os.read(fd, MOST_BYTES)
    finally:
        os.close(fd)


def _not_executable(file: str, mode: int, shown: str) -> str:
    if mode & 0o111 and os.statvfs(file).f_flag & os.ST_NOEXEC:
        cure = f'name its interpreter, as in command = ["sh", "{shown}"]'
        return f"its file system is mounted noexec: mount it with exec, or {cure}"
    return f"not executable: chmod +x {shown}"


def _of_neither(head: bytes, shown: str, *, is_refused: bool) -> str:
    if not _TEXT.fullmatch(head) and not is_refused:
        return ""  # binfmt_misc may know it
    what = "it has no first line such as #!/bin/sh" if head else "it is empty"
    return f'{what}: write one, or name an interpreter: command = ["sh", "{shown}"]'


def _of_script(head: bytes, shown: str, path: str | None) -> str:
    if head.startswith(_BOM):
        return f"a byte order mark stands before its #!: sed -i '1s/^\\xEF\\xBB\\xBF//' {shown}"
    line = head[2:].partition(b"\n")[0]
    text = line.decode("utf-8", "surrogateescape")
    interpreter, *rest = [word for word in re.split("[ \t]+", text) if word] or [""]
    if line.endswith(b"\r"):
        # With an option behind it the interpreter is found, and is given the carriage return.
        told = f"its interpreter {interpreter!a} is not there" if not rest else f"{rest[-1]!a}"
        return f"{told}: the script has Windows line ends (CRLF): sed -i 's/\\r$//' {shown}"
    if not os.path.isabs(interpreter):
        return ""  # below the folder in which it will be started
    sought = _sought(rest) if os.path.basename(interpreter) == "env" else ""
    if not os.path.exists(interpreter):
        what = f"{interpreter!a} is not there"
    elif not os.access(interpreter, os.X_OK):
        what = f"{interpreter!a} is not executable"
    elif sought and found(sought, path) is None:
        what = f"{sought!a} is not in PATH"
    else:
        return ""
    return f"its interpreter {what}: correct its first line"


def _sought(words: list[str]) -> str:
    """Return the program that env(1) is to find; empty if that isn't certain."""
    if words[:1] == ["-S"]:
        words = words[1:]
    is_name = words and re.fullmatch(r"[\w.+][\w.+-]*", words[0])
    return words[0] if is_name else ""


def _of_binary(head: bytes, *, is_refused: bool) -> str:
    if is_refused:
        return f"it is built for another kind of processor, and this is {os.uname().machine}"
    loader = _LOADER.search(head)
    if loader and not os.path.exists(loader[0]):
        name = os.fsdecode(loader[0])
        return f"its loader {name!a} is not there: it is built for another system, or libc"
    return ""
