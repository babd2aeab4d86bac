"""Tests of `tests.tools.limits`: each rule bites above its limit, and lets pass what is at it."""

from __future__ import annotations

import pytest

from tests.tools.limits import circles, excesses, judge


def found(source: str) -> list[str]:
    """Return what is over a limit in ``source``, without what helps."""
    return [f"{one.line}: {one.subject} {one.measured}" for one in excesses(source, "new.py")]


def module(lines: int, head: str = '"""What it is."""') -> str:
    """Return a module of so many lines."""
    return head + "\n" * (lines - head.count("\n"))


def rows(lines: int, indent: str = "    ") -> str:
    """Return so many lines of code."""
    return f"{indent}pass\n" * lines


# ---- modules -------------------------------------------------------------------------------------

EXPLAINED = '"""What it is.\n\nLength: one table, and nobody reads half of it.\n"""'


@pytest.mark.parametrize("source", [module(300), module(400, EXPLAINED)])
def test_a_module_at_its_limit_passes(source: str) -> None:
    """300 lines, and up to 400 with a reason."""
    assert found(source) == []


@pytest.mark.parametrize(
    "head",
    [
        *('"""What it is."""', '"""What it is.\n\nLength:\n"""', "# Length: a comment is no head"),
        '"""What it is."""\nLENGTH = """\nLength: nor is another text."""',
    ],
)
def test_a_module_over_300_lines_gives_a_reason(head: str) -> None:
    """In its docstring, where the reader begins."""
    assert found(module(301, head)) == [
        "1: module has 301 lines, at most 300 without a reason",
    ]


def test_no_reason_is_good_enough_for_more_than_400_lines() -> None:
    """Then it is split."""
    assert found(module(401, EXPLAINED)) == ["1: module has 401 lines, at most 400"]


# ---- classes -------------------------------------------------------------------------------------


def with_attributes(count: int) -> str:
    """Return a class with so many attributes, given in each way that there is; five are fixed."""
    return "\n".join(
        [
            "class Big:",
            '    """A class."""',
            "    level: int = 0",
            "    first, second = 1, 2",
            "    def start(self):",
            "        def later():",
            "            self.in_a_function = 1",
            "        with a as self.held:",
            "            self.level = other.not_ours = 3",
            *(f"        self.number_{number} += 1" for number in range(count - 5)),
        ]
    )


def with_methods(count: int) -> str:
    """Return a class with so many methods, of all kinds; three are fixed."""
    return "\n".join(
        [
            "class Big:",
            "    @property",
            "    def size(self): return 0",
            "    @size.setter",
            "    def size(self, value): pass",
            "    async def wait(self):",
            "        def inside(): pass",
            "    @staticmethod",
            "    def made(): pass",
            *(f"    def method_{number}(self): pass" for number in range(count - 3)),
        ]
    )


@pytest.mark.parametrize("source", [with_attributes(20), with_methods(35)])
def test_a_class_at_its_limit_passes(source: str) -> None:
    """20 attributes, 35 methods."""
    assert found(source) == []


def test_a_class_with_too_many_attributes_is_found() -> None:
    """Whoever gives them to it, and wherever."""
    assert found(with_attributes(21)) == ["1: class Big has 21 attributes, at most 20"]


def test_a_class_with_too_many_methods_is_found() -> None:
    """A property is one, with its setter; a function in a method is none."""
    assert found(with_methods(36)) == ["1: class Big has 36 methods, at most 35"]


@pytest.mark.parametrize(
    "head",
    [
        *("@dataclass\nclass Big:", "@dataclasses.dataclass(frozen=True)\nclass Big:"),
        *("class Big(NamedTuple):", "class Big(enum.Enum):", "class Big(Protocol[T]):"),
        "class Big(TypedDict, total=False):",
    ],
)
def test_a_list_of_fields_may_be_long(head: str) -> None:
    """It has as many as what it describes."""
    assert found(with_attributes(21).replace("class Big:", head)) == []


def test_a_class_in_a_function_is_measured_as_well() -> None:
    """Hiding it doesn't make it smaller; it goes by its whole name."""
    inner = with_attributes(21).replace("\n", "\n    ")

    assert found(f"def make():\n    {inner}") == [
        "2: class make.Big has 21 attributes, at most 20",
    ]


# ---- functions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        f"def long():\n{rows(49)}",
        f'@cached\nasync def long():\n    """What\n{"more" * 20}\n    it does."""\n{rows(49)}',
    ],
)
def test_a_function_at_its_limit_passes(source: str) -> None:
    """50 lines from its def on, whatever its docstring says."""
    assert found(source) == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (f"def long():\n{rows(50)}", "long"),
        (f'def long():\n    """What it does."""\n{rows(50)}', "long"),
        (f"class Some:\n    async def long(self):\n{rows(50, ' ' * 8)}", "Some.long"),
    ],
)
def test_a_long_function_is_found(source: str, name: str) -> None:
    """Of whatever kind."""
    assert [line.partition(": ")[2] for line in found(source)] == [
        f"function {name} has 51 lines, at most 50",
    ]


ROWS = "        a(1),\n" * 60


@pytest.mark.parametrize(
    "body",
    [
        f"    return (\n{ROWS}    )",
        f"    return [\n{ROWS}    ]",
        f'    """The rows."""\n    return Table(\n{ROWS}    )',
        f"    self.rows = dict(\n{ROWS}    )",
        f'    return """\n{ROWS}"""',
    ],
)
def test_a_table_may_be_long(body: str) -> None:
    """Nothing but rows: there is no step in it to split it by."""
    assert found(f"def table(self):\n{body}\n") == []


@pytest.mark.parametrize(
    "body",
    [
        f"    first = 1\n    return (\n{ROWS}    )",
        f"    return [a for a in (\n{ROWS}    )]",
        f"    return call(\n{ROWS}        [b for b in c],\n    )",
        f"    return call(\n{ROWS}        lambda: 3,\n    )",
        f"    return (\n{ROWS}        2 if b else 3,\n    )",
        f"    return 1 + (\n{ROWS}    )",
        f"    if (\n{ROWS}    ):\n        pass",
    ],
)
def test_what_has_steps_is_no_table(body: str) -> None:
    """Something before it, something inside of it, or something else altogether."""
    assert len(found(f"def table(self):\n{body}\n")) == 1


# ---- circles -------------------------------------------------------------------------------------


def turning(sources: dict[str, str]) -> list[str]:
    """Return the circles among the files of the service that have these texts."""
    return [f"{one.file}:{one.line}: {one.measured}" for one in circles(sources)]


def test_modules_that_need_one_another_are_found() -> None:
    """With the way around, and the line in which it begins, in a function as well."""
    lines = turning(
        {
            "core/a.py": "import os\nfrom statusd.core import b",
            "core/b.py": "def late():\n    import statusd.wire.c",
            "wire/c.py": "from statusd.core.a import A",
            "wire/d.py": "from statusd.core import a",
        }
    )

    assert lines == ["core/a.py:2: core/a.py -> core/b.py -> wire/c.py -> core/a.py"]


def test_each_circle_is_found() -> None:
    """Not the first alone."""
    lines = turning(
        {
            "a.py": "import statusd.b, statusd.c",
            "b.py": "import statusd.a",
            "c.py": "import statusd.a",
        }
    )

    assert sorted(lines) == [
        "a.py:1: a.py -> b.py -> a.py",
        "a.py:1: a.py -> c.py -> a.py",
    ]


def test_what_is_imported_for_types_closes_no_circle() -> None:
    """It is never run."""
    for_types = "if TYPE_CHECKING:\n    from statusd.a import A\nelse:\n    A = object"

    assert turning({"a.py": "from statusd.b import B", "b.py": for_types}) == []


def test_a_room_is_imported_by_its_face() -> None:
    """``from statusd.room import name`` is its ``__init__``, unless the name is a module."""
    face = {"a.py": "from statusd.room import thing", "room/__init__.py": "import statusd.a"}

    assert turning(face) == ["a.py:1: a.py -> room/__init__.py -> a.py"]
    assert turning({**face, "room/thing.py": ""}) == []


# ---- all of it -----------------------------------------------------------------------------------


def test_each_line_says_where_how_much_and_what_helps() -> None:
    """In the order of the files."""
    sources = {"b.py": module(401), "a.py": module(301)}

    assert judge(sources, {}) == [
        "a.py:1: module has 301 lines, at most 300 without a reason: split it, or say in its "
        "docstring why not, in a line `Length: ...`",
        "b.py:1: module has 401 lines, at most 400: split it where it changes for another reason",
    ]


def test_an_exception_allows_what_it_names_and_nothing_else() -> None:
    """Another thing of the same file isn't."""
    sources = {"a.py": module(401) + with_attributes(21)}

    lines = judge(sources, {"a.py: module": "until it is split"})

    assert [line.partition(" has")[0] for line in lines] == ["a.py:402: class Big"]


def test_an_exception_that_allows_nothing_is_found() -> None:
    """It would let the next one through."""
    lines = judge({"a.py": module(400, EXPLAINED)}, {"a.py: module": "until it is split"})

    assert lines == ["a.py: module: is over no limit: take it out of EXCEPTIONS"]
