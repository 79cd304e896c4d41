"""What of a remedy is to be pasted."""

from __future__ import annotations

import json
import re

import pytest

from connectivity_operator.diagnosis.catalogue import CATALOGUE, describe
from connectivity_operator.diagnosis.ladder import Failure
from connectivity_operator.reasons import Reason, Service
from connectivity_operator.reports.remedy import Part, parts


def prose(text: str) -> Part:
    return Part(text, paste=False)


def paste(text: str) -> Part:
    return Part(text, paste=True)


@pytest.mark.parametrize(
    ("remedy", "expected"),
    [
        ("Open port 443.", [prose("Open port 443.")]),
        (
            "GRANT rds_iam TO app;  and turn IAM on.",
            [paste("GRANT rds_iam TO app;"), prose("and turn IAM on.")],
        ),
        ("GRANT INSERT ON t TO u; GRANT USAGE ON SEQUENCE s TO u;",
         [paste("GRANT INSERT ON t TO u;\nGRANT USAGE ON SEQUENCE s TO u;")]),
        (
            "Annotate it: kubectl annotate sa x role=<role ARN>; then restart the pod.",
            [prose("Annotate it:"), paste("kubectl annotate sa x role=<role ARN>"), prose("then restart the pod.")],
        ),
        ("aws iam list-roles  (as an administrator)", [paste("aws iam list-roles"), prose("(as an administrator)")]),
        ("For example: printf %s \"$KEY\" | kubectl create secret generic x.",
         [prose("For example:"), paste('printf %s "$KEY" | kubectl create secret generic x')]),
        ("Two lines:\n  a\n    b\nand more", [prose("Two lines:"), paste("a\n  b"), prose("and more")]),
        ("Look (kubectl get pods) and wait.", [prose("Look (kubectl get pods) and wait.")]),
        ('Not JSON: {"a" or so', [prose('Not JSON: {"a" or so')]),
    ],
)  # fmt: skip
def test_parts(remedy: str, expected: list[Part]) -> None:
    """Prose and blocks in their order."""
    assert parts(remedy) == expected


@pytest.mark.parametrize(("service", "reason"), CATALOGUE)
def test_the_catalogues_remedies_come_apart_cleanly(service: Service, reason: Reason) -> None:
    """No half sentence is pasted, and nothing that is to be pasted is left in prose."""
    failure = Failure(reason, CATALOGUE[service, reason].rung)
    for part in parts(describe(service, failure).remedy):
        if part.paste:
            assert not re.search(r"[,;.] (and|or|then|Or|Then) ", part.text)
        else:
            assert not re.search(r'\{"|\b(GRANT|ALTER|TRUNCATE) |: (aws|kubectl) ', part.text)


def test_json_in_prose_becomes_a_block_of_the_same_value() -> None:
    """Indented, so that it fits and can be read."""
    [before, block, after] = parts('Add {"a":{"b":["<c>"]}} to the policy.')
    assert (before.paste, block.paste, after.text) == (False, True, "to the policy.")
    assert json.loads(block.text) == {"a": {"b": ["<c>"]}}
    assert "\n" in block.text


def test_a_list_is_json_too() -> None:
    """Network policies are lists."""
    [_, block] = parts('The policy: [{"a": 1}]')
    assert json.loads(block.text) == [{"a": 1}]
