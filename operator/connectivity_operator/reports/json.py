"""The report as JSON for programs: documented in `docs/check-json.md`, its schema is `docs/check.schema.json`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from connectivity_operator.diagnosis.catalogue import Explanation
from connectivity_operator.reports import Report, ServiceReport
from connectivity_operator.status import timestamp

SCHEMA_VERSION = 1


def render(report: Report) -> str:
    """One JSON document, indented, with all keys in a fixed order."""
    identity = report.identity
    return json.dumps(
        {
            "schemaVersion": SCHEMA_VERSION,
            "version": report.version,
            "started": timestamp(report.started),
            "seconds": round(report.seconds, 3),
            "passed": report.passed,
            "interrupted": report.interrupted,
            "error": report.error,
            "options": asdict(report.options),
            "identity": {"arn": identity[0], "method": identity[1]} if identity else None,
            "services": [_service(s) for s in report.services],
        },
        indent=2,
        ensure_ascii=False,
    )


def _service(service: ServiceReport) -> dict[str, Any]:
    failure = service.failure
    return {
        "name": service.service,
        "reason": service.reason,
        "rung": failure.rung if failure else None,
        "message": failure.message if failure else None,
        "remedy": failure.remedy if failure else None,
        "runbook": failure.runbook if failure else None,
        "note": service.note,
        "rungs": [
            {
                "name": outcome.rung,
                "result": outcome.result,
                "seconds": None if outcome.seconds is None else round(outcome.seconds, 4),
                "evidence": dict(outcome.evidence),
            }
            for outcome in service.climb.outcomes
        ],
        "warnings": [_warning(w) for w in service.warnings],
    }


def _warning(warning: Explanation) -> dict[str, Any]:
    return {
        "reason": warning.reason,
        "rung": warning.rung,
        "message": warning.message,
        "remedy": warning.remedy,
        "runbook": warning.runbook,
    }
