"""``check``: every ladder once, told as a table or as JSON."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import TextIO

import click
import yaml
from rich.console import Console

from connectivity_operator import __version__, app, logs, reports
from connectivity_operator.cli import shell
from connectivity_operator.diagnosis.ladder import Climb
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.models import dimensions as native_dimensions
from connectivity_operator.reasons import DEPENDENCIES, Service
from connectivity_operator.reports import json as json_report
from connectivity_operator.reports import table as table_report
from connectivity_operator.resource import KIND, ResourceSpec, parse_spec
from connectivity_operator.settings import Settings


@click.command()
@click.option("--topic", "topics", multiple=True, help="Topic to read from; may be repeated.")
@click.option("--index", help="OpenSearch index to look at and write to (nothing stays behind).")
@click.option("--model", help="Embedding model; default: OPENAI_EMBEDDING_MODEL.")
@click.option("--dimensions", type=click.IntRange(1, 16000), help="Length of the vectors.")
@click.option("-f", "--file", "file", type=click.File(), help="Take topics, index and model from a resource's YAML.")
@click.option("--create", is_flag=True, help="Create the index if it is absent; otherwise nothing is created.")
@click.option("--only", help="Comma-separated: kafka, openai, opensearch, postgresql.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def check(
    topics: tuple[str, ...],
    index: str | None,
    model: str | None,
    dimensions: int | None,
    file: TextIO | None,
    create: bool,
    only: str | None,
    output: str,
) -> None:
    """Climb every ladder once, without a cluster, and say what is wrong.

    Without topic or index a ladder ends at what needs none. Nothing is created or left behind.
    """
    try:
        settings = shell.settings()
        spec = _spec(file) if file else None
        target = _target(settings, spec, topics, index, model, dimensions, create=create)
        services = _services(only)
    except click.ClickException as error:
        if output == "json":
            click.echo(json_report.failed(error.message, __version__))
        raise
    logs.configure("ERROR", "console", stream=sys.stderr)
    report = shell.wait(_check(settings, target, services))
    if output == "json":
        click.echo(json_report.render(report))
    else:
        table_report.render(report, Console(highlight=False))
    sys.exit(0 if report.passed else 1)


async def _check(settings: Settings, target: Target, services: tuple[Service, ...]) -> reports.Report:
    started, began = datetime.now(UTC), time.monotonic()
    async with app.engine(settings) as engine:
        climbs: list[Climb] = await asyncio.gather(
            *(engine.diagnosis.examine(service, target, max_age=0.0) for service in services)
        )
        return reports.report(
            climbs, engine.describe, version=__version__, started=started, seconds=time.monotonic() - began
        )


def _services(only: str | None) -> tuple[Service, ...]:
    if only is None:
        return DEPENDENCIES
    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in DEPENDENCIES]
    if unknown or not names:
        known = ", ".join(DEPENDENCIES)
        raise shell.Refused(f"--only: {', '.join(unknown) or 'nothing named'}; known are {known}")
    return tuple(service for service in DEPENDENCIES if service in names)


def _spec(file: TextIO) -> ResourceSpec:
    try:
        bodies = [b for b in yaml.safe_load_all(file) if isinstance(b, dict) and b.get("kind") == KIND]
    except yaml.YAMLError as error:
        raise shell.Refused(f"{file.name}: not YAML: {error}") from error
    if len(bodies) != 1:
        raise shell.Refused(f"{file.name}: expected one {KIND}, found {len(bodies)}")
    try:
        return parse_spec(bodies[0]["spec"])
    except (KeyError, TypeError, ValueError) as error:
        raise shell.Refused(f"{file.name}: spec is incomplete or wrong: {error}") from error


def _target(
    settings: Settings,
    spec: ResourceSpec | None,
    topics: tuple[str, ...],
    index: str | None,
    model: str | None,
    dimensions: int | None,
    *,
    create: bool,
) -> Target:
    chosen = model or (spec.model if spec else None) or settings.openai_embedding_model
    asked = dimensions or (spec.dimensions if spec else None)
    named = frozenset(topics) or (spec.topics if spec else frozenset())
    return Target(
        topics=named,
        index=index or (spec.index if spec else None),
        model=chosen,
        dimensions=native_dimensions(chosen, asked),
        # A group of its own: a resource's group must not be disturbed, and joining proves the right to.
        group=f"connectivity-test.check.{secrets.token_hex(4)}" if named else None,
        join=True,
        create=create,
    )
