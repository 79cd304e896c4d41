"""No reason of the catalogue is only claimed: each is provoked against the lab's real servers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from connectivity_operator.diagnosis.catalogue import CATALOGUE
from connectivity_operator.reasons import Reason, Service
from tests import fault_cases

ROOT = Path(__file__).parents[2]
DATA: dict[str, dict[str, str]] = yaml.safe_load((ROOT / "tests/provoked.yaml").read_text())


def matrix() -> set[str]:
    """What the faults of the matrix show."""
    return {
        key(expected.service, reason, expected.rung)
        for case in fault_cases.load()
        for expected in (*case.expect, *case.check)
        for reason in (expected.reason, *expected.warnings)
        if reason != "Connected"
    }


def key(service: str, code: str, rung: str | None) -> str:
    """A ladder that stopped at the identity rung carries a reason of the identity; so do its warnings."""
    shared = (Service.IDENTITY, Reason(code)) in CATALOGUE
    own = (Service(service), Reason(code)) in CATALOGUE
    return f"identity/{code}" if shared and (rung == "identity" or not own) else f"{service}/{code}"


def test_every_reason_is_provoked() -> None:
    """By a fault of the matrix, or by a test that is named together with why the matrix has it not."""
    known = {f"{service}/{reason}" for service, reason in CATALOGUE}
    assert known - matrix() == set(DATA)
    assert all(entry["why"] for entry in DATA.values())


@pytest.mark.parametrize(("provoked", "test"), [(key, entry["test"]) for key, entry in DATA.items()], ids=list(DATA))
def test_the_test_is_there_and_is_about_the_reason(provoked: str, test: str) -> None:
    """It runs against the lab, and names the code in itself or in the values that it is given."""
    file, _, name = test.partition("::")
    source, marked = sources_in(ROOT / file)
    assert marked or file.startswith("tests/lab/")
    reason = Reason(provoked.partition("/")[2])
    assert name in source
    assert f"Reason.{reason.name}" in source[name] or reason.value in source[name]


@cache
def sources_in(file: Path) -> tuple[dict[str, str], bool]:
    """(name of each test -> its source, with its decorators and the module's values that they name; marked ``lab``)."""
    text = file.read_text()
    tree = ast.parse(text)
    values = dict(assigned(tree, text))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts = [ast.get_source_segment(text, part) or "" for part in (*node.decorator_list, node)]
            named = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
            parts += [values[name] for name in sorted(named & values.keys())]
            found[node.name] = "\n".join(parts)
    return found, "pytest.mark.lab" in text


def assigned(tree: ast.Module, text: str) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name):
            yield target.id, ast.get_source_segment(text, node) or ""
