"""The CRD and the samples as data: shapes, descriptions, and the same vocabulary as the program.

What only the API server does (CEL, defaults, pruning, columns) is in tests/lab/test_crd.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from connectivity_operator import resource, settings
from connectivity_operator.reasons import DEPENDENCIES, Result, Rung
from connectivity_operator.status import (
    FLOWING,
    HISTORY_LIMIT,
    MESSAGE_LIMIT,
    NAMES,
    READY,
    Condition,
    ServiceStatus,
    Status,
)

ROOT = Path(__file__).parents[2]
CRD = yaml.safe_load((ROOT / "crds/connectivitytests.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]["properties"]
STATUS = SCHEMA["properties"]["status"]["properties"]

VALID = sorted((ROOT / "samples").glob("[0-8]*.yaml"))
INVALID = sorted((ROOT / "samples").glob("90-invalid-*.yaml"))
BY_THE_SERVER = {"internal-topic", "topic-dots", "timeout", "long-name"}
"""Refused by CEL, which jsonschema does not know."""


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field below a schema with its path, items of lists included."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from fields(schema["items"], f"{path}[]")


FIELDS = {path: field for path, field in fields(SCHEMA) if path != ".metadata"}
"""`metadata` is described by Kubernetes itself; a description of ours is refused."""
STAMP = "2026-11-23T16:00:00Z"


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """As a JSON schema that refuses unknown fields, which is what `kubectl apply` does."""
    kept = {k: v for k, v in schema.items() if not k.startswith("x-")}
    if schema.get("x-kubernetes-list-type") == "set":
        kept["uniqueItems"] = True
    if "properties" in schema:
        kept["properties"] = {name: closed(child) for name, child in schema["properties"].items()}
        kept["additionalProperties"] = False
    elif schema.get("type") == "object":
        kept["additionalProperties"] = True  # metadata
    if "items" in schema:
        kept["items"] = closed(schema["items"])
    return kept


VALIDATOR = jsonschema.Draft202012Validator(closed(SCHEMA))


def errors(document: object) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(document)]


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_is_described_and_typed(path: str) -> None:
    """`kubectl explain` has an answer for everything; nothing is free-form."""
    field = FIELDS[path]
    assert field.get("description"), path
    assert field["type"] in ("string", "integer", "boolean", "object", "array")
    assert "x-kubernetes-preserve-unknown-fields" not in field
    assert field["description"].endswith("."), path


@pytest.mark.parametrize(
    "path", [p for p, f in FIELDS.items() if f["type"] in ("string", "array") and p[1:9] != "metadata"]
)
def test_every_text_and_list_is_bounded(path: str) -> None:
    """An unbounded field makes CEL rules too expensive and objects too large for etcd."""
    field = FIELDS[path]
    if field["type"] == "array":
        assert "maxItems" in field
        assert field["x-kubernetes-list-type"] in ("set", "map", "atomic")
    elif path not in (".apiVersion", ".kind"):
        assert {"maxLength", "enum", "format"} & set(field)


def test_names_are_those_of_the_program() -> None:
    """Group, kind and plural of the CRD and of `resource`."""
    names = CRD["spec"]["names"]
    assert CRD["spec"]["group"] == resource.GROUP
    assert VERSION["name"] == resource.VERSION
    assert (names["kind"], names["plural"]) == (resource.KIND, resource.PLURAL)
    assert CRD["metadata"]["name"] == f"{resource.PLURAL}.{resource.GROUP}"
    assert names["shortNames"] == ["ctest"]
    assert resource.CHECK_REQUESTED in SCHEMA["description"]


def test_vocabulary_is_that_of_the_program() -> None:
    """Rungs, results, services and limits are written down twice and must agree."""
    service = STATUS["services"]["items"]["properties"]
    assert service["name"]["enum"] == [s.value for s in DEPENDENCIES]
    assert service["rung"]["enum"] == [r.value for r in Rung]
    assert service["rungs"]["items"]["properties"]["name"]["enum"] == [r.value for r in Rung]
    assert service["rungs"]["items"]["properties"]["result"]["enum"] == [r.value for r in Result]
    assert service["rungs"]["maxItems"] == len(Rung)
    assert service["message"]["maxLength"] == MESSAGE_LIMIT
    assert STATUS["conditions"]["items"]["properties"]["message"]["maxLength"] == MESSAGE_LIMIT
    assert STATUS["history"]["maxItems"] == HISTORY_LIMIT


def test_the_model_rule_is_that_of_the_settings() -> None:
    """A model that the operator may default to is one that a resource may name."""
    pattern, longest = SPEC["model"]["pattern"], SPEC["model"]["maxLength"]
    for model in (
        "text-embedding-3-small",
        "a",
        "BAAI/bge-m3:latest",
        "-a",
        "a b",
        "",
        "a" * longest,
        "a" * (longest + 1),
    ):
        by_schema = bool(re.search(pattern, model)) and len(model) <= longest
        assert by_schema == bool(re.fullmatch(settings.MODEL, model)), model


def test_defaults_are_those_of_the_program() -> None:
    """`resource.parse_spec` repeats them for callers without an API server."""
    minimal = {"topics": ["a"], "index": "b"}
    defaults = {name: field["default"] for name, field in SPEC.items() if "default" in field}
    assert resource.parse_spec(minimal) == resource.parse_spec({**minimal, **defaults})
    assert set(defaults) == {"startFrom", "intervalSeconds", "timeoutSeconds", "suspend"}


def test_columns_show_a_reason_for_every_dependency() -> None:
    """Ready shows a status, the dependencies show Connected or the code of what is wrong."""
    columns = {c["name"]: c["jsonPath"] for c in VERSION["additionalPrinterColumns"]}
    assert list(columns)[:9] == ["Ready", "Reason", *NAMES.values(), "Logged", "Checked", "Age"]
    assert columns["Reason"] == f'.status.conditions[?(@.type=="{READY}")].reason'
    assert columns["Ready"] == f'.status.conditions[?(@.type=="{READY}")].status'
    for name in NAMES.values():
        assert columns[name] == f'.status.conditions[?(@.type=="{name}Connected")].reason'


@pytest.mark.parametrize("path", VALID, ids=lambda p: p.stem)
def test_a_sample_is_valid(path: Path) -> None:
    """Samples are what people copy."""
    assert errors(yaml.safe_load(path.read_text())) == []


def test_the_full_sample_has_every_field() -> None:
    """It is the reference by example."""
    sample = yaml.safe_load((ROOT / "samples/10-all-fields.yaml").read_text())
    assert set(sample["spec"]) == set(SPEC)


@pytest.mark.parametrize("path", INVALID, ids=lambda p: p.stem)
def test_an_invalid_sample_says_why_and_is_refused(path: Path) -> None:
    """Each breaks one rule and says which; those that break a CEL rule are refused by the API server only."""
    text = path.read_text()
    assert re.search(r"^# Refused: .+$", text, re.MULTILINE)
    by_schema = path.stem.removeprefix("90-invalid-") not in BY_THE_SERVER
    assert bool(errors(yaml.safe_load(text))) == by_schema


@pytest.mark.parametrize(
    "status",
    [
        {},
        Status(
            observed_generation=3,
            operator="connectivity/operator",
            last_check_time="2026-11-23T16:00:00Z",
            valid_until="2026-11-23T16:03:00Z",
            model=("text-embedding-3-small", 1536),
            identity=("arn:aws:sts::111122223333:assumed-role/connectivity-test/operator", "WebIdentity"),
            conditions={t: Condition(t, "False", "KafkaFailed", "…" * 600, 3, STAMP) for t in (READY, FLOWING)},
            services={
                "kafka": ServiceStatus(
                    "kafka", "ReadDataDenied", "authorization", "m" * 600, "remedy", "https://x#y", 2, STAMP,
                    tuple((r.value, "Passed") for r in Rung), (("CertificateExpiresSoon", "soon"),),
                )
            },
            history=({"time": STAMP, "service": "kafka", "reason": "ReadDataDenied", "message": "m"},),
        ).body(),
    ],
)  # fmt: skip
def test_what_the_operator_writes_fits_the_schema(status: dict[str, Any]) -> None:
    """A status that the API server refuses is never seen by anybody. (None in a merge patch means: remove.)"""

    def without_nulls(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: without_nulls(v) for k, v in value.items() if v is not None}
        return [without_nulls(v) for v in value] if isinstance(value, list) else value

    sample = yaml.safe_load(VALID[0].read_text())
    assert errors({**sample, "status": without_nulls(status)}) == []
