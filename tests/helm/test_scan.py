"""A policy scanner and a linter read what is shipped. What they find is mended, or accepted in writing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import paths, scanners
from tests.helm.charts import ENVIRONMENTS, Workshop

DOCKERFILE = paths.ROOT / "Dockerfile"

Finding = tuple[str, str]
"""The check, and the kind of object in which it failed."""


@pytest.fixture(scope="module")
def manifests(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered chart, one file an environment."""
    folder = tmp_path_factory.mktemp("manifests")
    for environment in ENVIRONMENTS:
        result = workshop.chart("stand-in").template("helm 4", environment)
        assert result.returncode == 0, result.stderr
        (folder / f"{environment}.yaml").write_text(result.stdout)
    return folder


def accepted() -> dict[Finding, str]:
    """What may be found, with the reason."""
    entries = yaml.safe_load((Path(__file__).parent / "accepted.yaml").read_text())
    return {(entry["check"], kind): entry["reason"] for entry in entries for kind in entry["of"]}


def of_chart(report: dict[str, Any]) -> set[Finding]:
    return {(one["check_id"], one["resource"].partition(".")[0]) for one in report["results"]["failed_checks"]}


def kinds(kept: Iterable[str]) -> set[Finding]:
    return {finding for finding in accepted() if finding[1] in kept}


def test_the_chart_has_only_the_findings_that_are_accepted(manifests: Path) -> None:
    """For every environment; and each acceptance is still needed."""
    report = scanners.checkov(f"--directory={manifests}", "--framework=kubernetes")
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 200 * len(ENVIRONMENTS), "it has looked"
    assert of_chart(report) == kinds({"Deployment", "Job", "Pod"})


def test_the_scanner_would_notice(manifests: Path, tmp_path: Path) -> None:
    """A container that may write to its root file system, as root: the test above can fail."""
    spoilt = tmp_path / "spoilt.yaml"
    text = (manifests / "prod.yaml").read_text()
    spoilt.write_text(text.replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"))
    report = scanners.checkov(f"--directory={tmp_path}", "--framework=kubernetes")
    assert ("CKV_K8S_22", "Deployment") in of_chart(report)


def test_the_dockerfile_has_only_the_findings_that_are_accepted(tmp_path: Path) -> None:
    """By two programs: one looks at security, one at habits and at the shell's own traps."""
    report = scanners.checkov(f"--file={DOCKERFILE}", "--framework=dockerfile")
    found = {(one["check_id"], "Dockerfile") for one in report["results"]["failed_checks"]}
    assert found == kinds({"Dockerfile"})
    assert report["summary"]["passed"] > 50
    configuration = tmp_path / "hadolint.yaml"
    configuration.write_text("{}")
    assert scanners.hadolint(DOCKERFILE, configuration) == []


def test_the_linter_would_notice(tmp_path: Path) -> None:
    configuration, spoilt = tmp_path / "hadolint.yaml", tmp_path / "Dockerfile"
    configuration.write_text("{}")
    spoilt.write_text("FROM debian:latest\nRUN cd / && sudo ls\n")
    assert {finding["code"] for finding in scanners.hadolint(spoilt, configuration)} >= {"DL3004", "DL3007"}


def test_every_acceptance_has_a_reason() -> None:
    assert all(len(reason) > 20 for reason in accepted().values())
