"""Resources read without an API server: the CRD's rules, each refusal with its field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from connectivity_operator import resource_file
from connectivity_operator.resource import ResourceSpec
from connectivity_operator.resource_file import ResourceFileError, spec

ROOT = Path(__file__).parents[2]
CRD = yaml.safe_load((ROOT / "crds/connectivitytests.yaml").read_text())
SCHEMA = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
RULES = ("type", "minLength", "maxLength", "pattern", "minimum", "maximum", "minItems", "maxItems", "enum", "default")

GOOD = """
apiVersion: connectivity.hyperoptic.com/v1alpha1
kind: ConnectivityTest
metadata: {name: minimal}
spec: {topics: [orders], index: documents}
"""


def ours() -> Any:
    """The rules of the model, as a schema; an optional field has those of its value."""
    schema = resource_file._Spec.model_json_schema()
    fields = schema["properties"]
    for name, rules in fields.items():
        fields[name] = next((r for r in rules.get("anyOf", []) if r["type"] != "null"), None) or rules
    return schema


@pytest.mark.parametrize("field", SCHEMA["properties"])
def test_the_rules_are_those_of_the_crd(field: str) -> None:
    """Types, lengths, patterns, limits, values and defaults of each field."""
    theirs, mine = SCHEMA["properties"][field], ours()["properties"][field]
    assert {r: mine.get(r) for r in RULES} == {r: theirs.get(r) for r in RULES}
    assert {r: mine.get("items", {}).get(r) for r in RULES} == {r: theirs.get("items", {}).get(r) for r in RULES}


def test_the_fields_are_those_of_the_crd() -> None:
    """Neither more nor fewer, and the same ones are required."""
    assert set(ours()["properties"]) == set(SCHEMA["properties"])
    assert ours()["required"] == SCHEMA["required"]


@pytest.mark.parametrize("sample", sorted((ROOT / "samples").glob("[0-8]*.yaml")), ids=lambda path: path.name)
def test_good_samples_are_read(sample: Path) -> None:
    """What the API server accepts."""
    assert isinstance(spec(sample.read_text(), sample.name), ResourceSpec)


NAMED = {
    "dimensions": "spec.dimensions",
    "duplicate-topic": "spec.topics",
    "endpoint": "is not a field of a ConnectivityTest",
    "index-name": "spec.index",
    "internal-topic": "spec.topics[0]: internal topics",
    "interval": "spec.intervalSeconds",
    "long-name": "metadata.name",
    "model-name": "spec.model",
    "no-index": "spec.index is required",
    "no-topics": "spec.topics",
    "start-from": "spec.startFrom",
    "timeout": "timeoutSeconds must be less than intervalSeconds",
    "topic-dots": "spec.topics[0]",
    "topic-name": "spec.topics[0]",
}


@pytest.mark.parametrize("sample", sorted((ROOT / "samples").glob("90-*.yaml")), ids=lambda path: path.name)
def test_bad_samples_are_refused_by_field(sample: Path) -> None:
    """What the API server refuses is refused here too, with the file, the field and the rule."""
    with pytest.raises(ResourceFileError) as refused:
        spec(sample.read_text(), sample.name)
    said = str(refused.value)
    assert said.startswith(f"{sample.name}: ")
    assert NAMED[sample.stem.removeprefix("90-invalid-")] in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected exactly one ConnectivityTest, found none"),
        ("kind: ConfigMap", "found none"),
        (f"{GOOD}---{GOOD}", "found 2"),
        ("a: [", "not YAML (line 1, column 5)"),
        ("a: 2026-13-01", "not YAML"),
        pytest.param("[" * 20_000, "not YAML", id="nested"),
        (GOOD.replace("v1alpha1", "v1"), "apiVersion must be connectivity.hyperoptic.com/v1alpha1"),
        (GOOD.replace("[orders]", "orders"), "spec.topics must be a list"),
        (GOOD.replace("[orders]", "[1]"), "spec.topics[0] must be a text"),
        (GOOD.replace("documents}", "documents, suspend: 1}"), "spec.suspend must be true or false"),
        (GOOD.replace("spec: {topics: [orders], index: documents}", "spec: 3"), "spec must be a mapping"),
        (GOOD.replace("spec: {topics: [orders], index: documents}", ""), "spec is required"),
    ],
)
def test_refusals_say_what_and_where(text: str, said: str) -> None:
    """One sentence each."""
    with pytest.raises(ResourceFileError) as refused:
        spec(text, "file.yaml")
    assert said in str(refused.value)


def test_other_kinds_and_lists_around_the_resource_are_passed_over() -> None:
    """As they come from `kubectl get -o yaml` and from files that hold more."""
    listed = yaml.safe_dump({"kind": "List", "apiVersion": "v1", "items": [yaml.safe_load(GOOD), {"kind": "Pod"}]})
    assert spec(f"kind: ConfigMap\n---\n{listed}", "f").index == "documents"
