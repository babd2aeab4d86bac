"""`statusd graph`: the lifecycle as text and as a picture, with a unit's state highlighted."""

from __future__ import annotations

import json
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from statusd.core.lifecycle import BUILT_IN
from statusd.lifecycles.dot import dot
from statusd.lifecycles.drawing import draw
from statusd.lifecycles.mermaid import mermaid
from tests.conftest import Run
from tests.system.commands import statusd
from tests.tools import Broker, free_port, wait_until

SVG = "{http://www.w3.org/2000/svg}"


def groups(svg: Path) -> Iterator[tuple[str, set[str], ElementTree.Element]]:
    """Yield title, classes and element of every state and arrow of a picture."""
    for group in ElementTree.parse(svg).iter(f"{SVG}g"):
        classes = set(group.get("class", "").split())
        if classes & {"node", "edge"}:
            yield group.findtext(f"{SVG}title", ""), classes, group


def texts(element: ElementTree.Element) -> list[str]:
    """Return what is to be read in ``element``."""
    return [text.text or "" for text in element.iter(f"{SVG}text")]


def fills(element: ElementTree.Element) -> set[str]:
    """Return the colours of the areas of ``element``."""
    shapes = chain(element.iter(f"{SVG}path"), element.iter(f"{SVG}polygon"))
    return {fill for shape in shapes if (fill := shape.get("fill", "none")) != "none"}


def highlighted(svg: Path) -> list[str]:
    """Return the states that are shown as the current one."""
    return [title for title, classes, _ in groups(svg) if "current" in classes]


# ---- what is drawn, and where to -----------------------------------------------------------------


def test_the_lifecycle_is_printed_as_mermaid(tmp_path: Path) -> None:
    """On standard output, ready for a README; without settings it is the built-in one."""
    done = statusd("graph", cwd=tmp_path, env={"XDG_CONFIG_HOME": str(tmp_path)})

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == mermaid(BUILT_IN)


def test_settings_without_a_lifecycle_have_the_built_in_one(tmp_path: Path) -> None:
    """They needn't even name a worker."""
    file = tmp_path / "job.toml"
    file.write_text('name = "camera"\n')

    done = statusd("graph", str(file))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == mermaid(BUILT_IN)


def test_texts_are_written_by_their_ending(tmp_path: Path) -> None:
    """Mermaid, Mermaid in Markdown, and DOT; what was there is gone, and nothing else is left."""
    (tmp_path / "a.mmd").write_text("older and longer " * 1000)

    for name in ("a.mmd", "a.md", "a.DOT"):
        done = statusd("graph", "-o", name, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    text = mermaid(BUILT_IN)
    assert (tmp_path / "a.mmd").read_text() == text
    assert (tmp_path / "a.md").read_text() == f"```mermaid\n{text}```\n"
    assert (tmp_path / "a.DOT").read_text() == dot(BUILT_IN)
    assert {path.name for path in tmp_path.iterdir()} == {"a.mmd", "a.md", "a.DOT"}


def test_an_svg_shows_every_state_and_every_trigger(tmp_path: Path) -> None:
    """To be read in it, each state in the colour of its kind; the libraries keep quiet."""
    svg = tmp_path / "a.svg"

    done = statusd("graph", "-o", str(svg))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    shown = {title: (classes, group) for title, classes, group in groups(svg)}
    colours: defaultdict[str, set[str]] = defaultdict(set)
    for node in draw(BUILT_IN).nodes:
        classes, group = shown[node.name]
        assert (node.kind in classes, texts(group)) == (True, [node.name])
        colours[node.kind] |= fills(group)
    assert [len(found) for found in colours.values()] == [1] * 5
    assert len(set.union(*colours.values())) == 5
    triggers = {
        text for _, classes, group in groups(svg) if "edge" in classes for text in texts(group)
    }
    assert triggers == {row.trigger for row in BUILT_IN.rows}
    assert highlighted(svg) == []


def test_a_png_is_not_blank(tmp_path: Path) -> None:
    """A picture of some size, with more than one colour."""
    png = tmp_path / "a.png"

    done = statusd("graph", "-o", str(png))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    chunks = list(png_chunks(png.read_bytes()))
    width, height = struct.unpack(">II", chunks[0][1][:8])
    assert chunks[0][0] == b"IHDR"
    assert min(width, height) > 100
    lines = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    length = len(lines) // height
    pixels = [lines[at + 1 : at + length] for at in range(0, len(lines), length)]
    assert len(set(pixels)) > height / 2
    assert len(set(b"".join(pixels))) > 100


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the data of each chunk of a PNG, whose checksums are right."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", content, at + 8 + length) == (zlib.crc32(kind + data),)
        yield kind, data
        at += 12 + length


# ---- a unit --------------------------------------------------------------------------------------


def is_running(document: Any) -> bool:
    """Tell whether a status document says so."""
    return document is not None and json.loads(document)["state"] == "RUNNING"


def test_the_state_of_a_unit_is_highlighted(broker: Broker, run: Run, tmp_path: Path) -> None:
    """As it is now, in a picture and in text; the settings name broker and namespace."""
    unit = run("tests.workers:obedient", broker.url, redis={"url": broker.url, "namespace": "lab"})
    unit.wait_logged("link.up", link="hears")
    assert statusd("send", "start", cwd=unit.directory).returncode == 0
    unit.wait_state("RUNNING")
    client = broker.client()
    wait_until(lambda: is_running(client.get("lab:status:{unit}")), 10, "RUNNING in the document")

    done = statusd("graph", "--unit", "unit", "-o", "a.svg", "-v", cwd=unit.directory)
    text = statusd("graph", str(unit.directory / "statusd.toml"), "--unit", "unit", cwd=tmp_path)

    assert done.returncode == 0
    assert "(statusd.toml)" in done.stderr
    assert highlighted(unit.directory / "a.svg") == ["RUNNING"]
    assert text.stdout == mermaid(BUILT_IN, "RUNNING")


def test_a_unit_that_is_not_there_is_told(broker: Broker, tmp_path: Path) -> None:
    """Exit code 5, its name and where it was looked for; nothing is drawn."""
    done = statusd("graph", "--unit", "camera", "--url", broker.url, "-o", "a.mmd", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (5, "")
    assert f"no unit 'camera' in the namespace 'statusd' on {broker.url}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_unit_with_another_lifecycle_is_told(broker: Broker) -> None:
    """Exit code 78, its state, and the states that there are."""
    broker.client().set("statusd:status:{camera}", json.dumps({"boot": 5, "state": "EXPOSING"}))

    done = statusd("graph", "--unit", "camera", "--url", broker.url)

    assert (done.returncode, done.stdout) == (78, "")
    assert "'camera' is 'EXPOSING', which is not a state of" in done.stderr
    assert "INIT, READY, RUNNING" in done.stderr


@pytest.mark.parametrize("document", ["", "[]", '{"name": "camera"}', "\xff"])
def test_what_is_no_status_document_is_told(broker: Broker, document: str) -> None:
    """Exit code 78; somebody else has written there."""
    broker.client().set("statusd:status:{camera}", document.encode("latin-1"))

    done = statusd("graph", "--unit", "camera", "--url", broker.url)

    assert done.returncode == 78
    assert "no status document" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_broker_is_told_with_how_it_was_found() -> None:
    """Exit code 69, the address, and which setting named it."""
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"

    done = statusd("graph", "--unit", "camera", env={"STATUSD_REDIS__URL": url})

    assert (done.returncode, done.stdout) == (69, "")
    assert "no connection to redis://127.0.0.1:" in done.stderr
    assert "STATUSD_REDIS__URL" in done.stderr
    assert "secret" not in done.stderr


# ---- what can't be drawn -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.gif", "svg", ".svg"])
def test_an_unknown_ending_is_told(tmp_path: Path, name: str) -> None:
    """Exit code 64, with the endings that there are."""
    done = statusd("graph", "-o", name, cwd=tmp_path)

    assert done.returncode == 64
    assert f"{name}: its ending says what is drawn: one of .mmd .md .svg .png .dot" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    """Exit code 73 and why; nothing is left of the attempt."""
    (tmp_path / "taken.dot").mkdir()

    missing = statusd("graph", "-o", str(tmp_path / "nowhere" / "a.dot"))
    taken = statusd("graph", "-o", str(tmp_path / "taken.dot"))

    assert (missing.returncode, taken.returncode) == (73, 73)
    assert "nowhere/a.dot: No such file or directory" in missing.stderr
    assert "taken.dot: Is a directory" in taken.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["taken.dot"]


def test_without_graphviz_only_pictures_are_missing(tmp_path: Path) -> None:
    """Exit code 69 and the cure; the texts need nothing."""
    (tmp_path / "pygraphviz.py").write_text("raise ImportError('not installed')\n")
    env = {"PYTHONPATH": str(tmp_path)}

    picture = statusd("graph", "-o", str(tmp_path / "a.svg"), env=env)
    text = statusd("graph", "-o", str(tmp_path / "a.dot"), env=env)

    assert (picture.returncode, text.returncode) == (69, 0)
    assert "pip install 'statusd[graph]'" in picture.stderr
    assert "Traceback" not in picture.stderr
    assert not (tmp_path / "a.svg").exists()


def test_a_png_without_fonts_is_told(tmp_path: Path) -> None:
    """As in a small container: all labels would be boxes, and nobody would know why."""
    config = tmp_path / "fonts.conf"
    config.write_text('<!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig></fontconfig>')

    done = statusd("graph", "-o", str(tmp_path / "a.png"), env={"FONTCONFIG_FILE": str(config)})

    assert done.returncode == 0
    assert "this machine has no fonts" in done.stderr


def test_broken_settings_are_told(tmp_path: Path) -> None:
    """Exit code 78 and the file's name; nothing is drawn of them."""
    (tmp_path / "statusd.toml").write_text("[lifecycle\n")

    done = statusd("graph", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (78, "")
    assert "statusd.toml: not valid TOML" in done.stderr
