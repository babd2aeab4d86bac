"""``python -m benchmarks.performance FOLDER``: writes the figures of docs/performance.md anew.

FOLDER has the JSON files that ``make performance`` leaves there. What stands between a pair of
markers, ``<!-- goals -->`` and ``<!-- /goals -->``, is written; all else is left as it is. A part
without a file keeps what it has. Nothing is written of runs of which one was disturbed, or went
before all other processes: those are to be done again.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plot
from benchmarks.machine import DISTURBED, NORMAL
from benchmarks.peers import page
from benchmarks.processes import ROOT
from benchmarks.results import Results, described, merged
from benchmarks.table import markdown, summary

DOCUMENT = ROOT / "docs/performance.md"
PICTURE = ROOT / "docs/latency.svg"
SOAK, PEERS = "soak.json", "peers-"


def main() -> int:
    """Write the document, and the picture beside it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.performance", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="default: %(default)s")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="default: %(default)s")
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("*.json"))
    if not files:
        parser.error(f"no results in {arguments.folder}: run make performance")
    if unfit := [f"{file.name}: {why}" for file in files if (why := objection(file))]:
        parser.error("\n".join(("not to be quoted, measure again:", *unfit)))
    text = arguments.document.read_text("utf-8")
    for name, part in parts(files):
        text = written(text, name, part)
    arguments.document.write_text(text, encoding="utf-8")
    curves = _runs(files)
    if curves and curves.distributions:
        arguments.picture.write_text(plot.svg(curves.distributions), encoding="utf-8")
    return 0


def objection(file: Path) -> str:
    """Return why the figures of a run are not to be quoted; empty if they are."""
    found = json.loads(file.read_text("utf-8"))
    for header in found.get("headers") or [found["header"]]:
        if not header.get("scheduling", NORMAL).startswith(NORMAL):
            return str(header["scheduling"])
        if header.get("other processes", "").endswith(DISTURBED):
            return str(header["other processes"])
    return ""


def parts(files: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield the names of the parts that there are files for, and what they say."""
    runs = _runs(files)
    if runs:
        yield "machine", described([part.header for part in _parts(files)])
        aimed = [row for row in runs.rows if row.goal is not None]
        yield "goals", f"{markdown(aimed)}\n\n{summary(aimed)}"
        yield "others", markdown([row for row in runs.rows if row.goal is None])
    peers = [json.loads(file.read_text("utf-8")) for file in files if file.name.startswith(PEERS)]
    if peers:
        yield "peers", page.page(page.together(peers))
    for file in files:
        if file.name == SOAK:
            yield "soak", _soak(json.loads(file.read_text("utf-8")))


def _runs(files: Sequence[Path]) -> Results | None:
    """Return the runs of ``python -m benchmarks`` as one, or None."""
    found = _parts(files)
    return merged(found) if found else None


def _parts(files: Sequence[Path]) -> list[Results]:
    found = [f for f in files if f.name != SOAK and not f.name.startswith(PEERS)]
    return sorted(map(Results.read, found), key=lambda part: part.header["date"])


def _soak(found: Mapping[str, Any]) -> str:
    head = {name: found["header"][name] for name in ("date", "commit", "soak")}
    judged = "; ".join(found["wrong"]) or "nothing grows"
    return "\n".join([_list(head), *(f"- {text}" for text in found["said"]), f"- {judged}"])


def _list(header: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in header.items())


def written(text: str, name: str, part: str) -> str:
    """Return ``text`` with ``part`` between the markers of that name.

    Raises:
        ValueError: there is no such pair of markers.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no <!-- {name} --> and <!-- /{name} --> in the document")
    return pattern.sub(lambda found: f"{found[1]}\n{part}\n\n{found[2]}", text)


if __name__ == "__main__":
    sys.exit(main())
