"""Writes the table of values into the chart's README.md: `python helm/values_table.py`; a test compares them.

A value's row comes from the comment `# -- …` above its key in values.yaml and from the value itself.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "aws-connectivity-test"
README = CHART / "README.md"
MARK = "<!-- values, made by helm/values_table.py -->\n"

SHOWN = 60
"""Characters of a default; longer ones are looked up in values.yaml."""

_KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z][\w.-]*):")
_TEXT = re.compile(r" *# -- (?P<text>.+)")
_MORE = re.compile(r" *# (?!-- )(?P<text>.+)")


def described(text: str) -> dict[str, str]:
    """Dotted key -> description, of every key in values.yaml that has one."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    pending: str | None = None
    for line in text.splitlines():
        if start := _TEXT.match(line):
            pending = start["text"]
        elif pending and (more := _MORE.match(line)):
            pending += f" {more['text']}"
        elif key := _KEY.match(line):
            depth = len(key["indent"])
            path = [*(step for step in path if step[0] < depth), (depth, key["key"])]
            if pending:
                found[".".join(name for _, name in path)] = pending
            pending = None
    return found


def value_of(values: Any, key: str) -> Any:
    """The value under a dotted key (no key of the chart has a dot itself)."""
    for name in key.split("."):
        values = values[name]
    return values


def table() -> str:
    """The table in Markdown, in the order of values.yaml."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    rows = ["| value | default | meaning |", "| --- | --- | --- |"]
    for key, description in described(text).items():
        default = json.dumps(value_of(values, key))
        shown = f"`{default}`" if len(default) <= SHOWN else "see values.yaml"
        rows.append(f"| `{key}` | {shown} | {description} |".replace("||", "\\|\\|"))
    return "\n".join(rows) + "\n"


def readme() -> str:
    """The README as it should be: its own text up to the mark, then the table."""
    head, _, _ = README.read_text(encoding="utf-8").partition(MARK)
    return f"{head}{MARK}\n{table()}"


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")
