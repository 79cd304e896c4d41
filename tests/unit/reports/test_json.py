"""The JSON of every way out obeys the published schema, and the schema knows every field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from connectivity_operator.cli import outputs
from connectivity_operator.reports import Options
from connectivity_operator.reports import json as json_report
from tests.fakes.reports import REPORTS

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parents[3] / "docs/check.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def document(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json_report.render(REPORTS[name]))
    return made


def fields(value: Any) -> Iterator[str]:
    """The names of all fields of a document, the evidence's left out."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            if key != "evidence":
                yield from fields(inner)
    elif isinstance(value, list):
        for item in value:
            yield from fields(item)


@pytest.mark.parametrize("kind", outputs.DOCUMENTS)
def test_a_word_that_is_no_text_spoils_no_document(kind: str, tmp_path: Path) -> None:
    """A shell hands over any bytes; a document is UTF-8 all the same."""
    report = replace(next(iter(REPORTS.values())), options=Options(topics=("\udcff",)))
    outputs.write(report, [outputs.Output(kind, tmp_path / "report")])
    text = (tmp_path / "report").read_text(encoding="utf-8")
    assert kind == "junit" or "?" in text or "\N{REPLACEMENT CHARACTER}" in text


def test_the_schema_is_one() -> None:
    """It obeys the metaschema."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", REPORTS)
def test_every_document_obeys_the_schema(name: str) -> None:
    """Whatever happened."""
    VALIDATOR.validate(document(name))


@pytest.mark.parametrize("name", REPORTS)
def test_every_field_is_in_the_schema(name: str) -> None:
    """Additional fields are allowed to come; a field that is there is described."""
    described = set(fields(SCHEMA))
    assert set(fields(document(name))) <= described


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"schemaVersion": 2}, "schemaVersion"),
        ({"started": 1}, "started"),
        ({"services": []}, "services"),
        ({"error": "x"}, "services"),
    ],
)
def test_the_schema_refuses_what_is_wrong(change: dict[str, Any], path: str) -> None:
    """A schema that takes everything would prove nothing."""
    errors = list(VALIDATOR.iter_errors({**document("all passed"), **change}))
    assert path in {str(error.path[0]) for error in errors}


@pytest.mark.parametrize(("name", "expected"), [("all passed", True), ("nothing asked", True)])
def test_passed_is_true_when_all_that_was_asked_passed(name: str, expected: bool) -> None:
    """Also without topic and index."""
    assert document(name)["passed"] is expected


@pytest.mark.parametrize("name", ["failures and a warning", "interrupted", "could not begin"])
def test_passed_is_false_for_every_other_end(name: str) -> None:
    """A check that was cut short has proven nothing."""
    assert document(name)["passed"] is False


def test_a_service_that_was_cut_short_is_interrupted() -> None:
    """Neither connected nor failed; the one that was done keeps its verdict."""
    services = {s["name"]: s["reason"] for s in document("interrupted")["services"]}
    assert services == {"kafka": "Interrupted", "openai": "Connected"}
