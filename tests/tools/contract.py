"""The contract as JSON Schema, made from `statusd.contract`: ``python -m tests.tools.contract``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from statusd import contract

FOLDER = Path("docs/contract")
KINDS: dict[str, Any] = {
    "command": contract.Command,
    "verdict": contract.Verdict,
    "event": contract.Event,
    "document": contract.Document,
    "lifecycle": contract.Lifecycle,
    "log-question": contract.LogQuestion,
    "logs": contract.Logs,
}


def schema(kind: str) -> dict[str, Any]:
    """Return the schema of one kind of message; no key is allowed that it doesn't name."""
    found = TypeAdapter(KINDS[kind]).json_schema()
    for table in (found, *found.get("$defs", {}).values()):
        if "properties" in table:
            table["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def text(kind: str) -> str:
    """Return the schema as it stands in its file."""
    return json.dumps(schema(kind), indent=2) + "\n"


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for kind in KINDS:
        (FOLDER / f"{kind}.schema.json").write_text(text(kind), encoding="utf-8")


if __name__ == "__main__":
    main()
