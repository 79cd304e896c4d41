"""What the threat model points to exists: a claim whose test was renamed or removed is a claim without proof."""

from __future__ import annotations

import re

import pytest

from lab import paths

TEXT = (paths.ROOT / "docs/threat-model.md").read_text()
REFERENCES = sorted(set(re.findall(r"`((?:tests|operator|samples|docs|helm)/[\w./-]+(?:::\w+)?)`", TEXT)))


@pytest.mark.parametrize("reference", REFERENCES)
def test_what_a_claim_points_to_exists(reference: str) -> None:
    file, _, test = reference.partition("::")
    content = (paths.ROOT / file).read_text()
    assert not test or re.search(rf"^(?:async )?def {test}\(", content, re.MULTILINE)


def test_claims_point_somewhere() -> None:
    assert len(REFERENCES) > 30
