"""The command line: ``run`` the operator, ``check`` once, ``send`` a test message, ``release-finalizers`` at the end.

Exit codes: 0 done, 1 a dependency failed, 2 usage or settings, 130 interrupted.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TextIO, TypeVar

import click
import yaml
from rich.console import Console

from connectivity_operator import __version__, app, logs, reports
from connectivity_operator.diagnosis.ladder import Climb
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.errors import ConnectivityError, DependencyError, PolicyError, SettingsError
from connectivity_operator.models import dimensions as native_dimensions
from connectivity_operator.reasons import DEPENDENCIES, Service
from connectivity_operator.reports import json as json_report
from connectivity_operator.reports import table as table_report
from connectivity_operator.resource import KIND, ResourceSpec, parse_spec
from connectivity_operator.settings import Settings

T = TypeVar("T")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="connectivity-operator")
def cli() -> None:
    """Does this workload reach MSK, OpenAI, OpenSearch Serverless and RDS, and if not, why?"""


@cli.command()
def run() -> None:
    """Run the operator (inside the cluster, or with KUBECONFIG)."""
    # kopf and the Kubernetes client are heavy; `check` and `send` do without them.
    from connectivity_operator.handlers.running import run as run_handlers
    from connectivity_operator.host import Operator

    settings = _settings()
    logs.configure(settings.log_level, settings.log_format)
    if settings.postgres_password:
        logs.hide(settings.postgres_password.get_secret_value())
    try:
        host = Operator(settings)
    except (SettingsError, PolicyError) as error:
        raise Refused(str(error)) from error
    run_handlers(settings, host)


@cli.command()
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
        settings = _settings()
        spec = _spec(file) if file else None
        target = _target(settings, spec, topics, index, model, dimensions, create=create)
        services = _services(only)
    except click.ClickException as error:
        if output == "json":
            click.echo(json_report.failed(error.message, __version__))
        raise
    logs.configure("ERROR", "console", stream=sys.stderr)
    report = _await(_check(settings, target, services))
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


@cli.command()
@click.argument("topic")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("-f", "--file", type=click.File("r"), help="One message a line; - is standard input.")
def send(topic: str, texts: tuple[str, ...], file: TextIO | None) -> None:
    """Send test messages to TOPIC with the operator's own IAM login; needs kafka-cluster:WriteData.

    Prints partition and offset of each.
    """
    messages = [*texts, *(line.rstrip("\n") for line in file)] if file else list(texts)
    if not messages:
        raise Refused("nothing to send: give TEXT arguments or -f FILE (- for standard input)")
    settings = _settings()
    logs.configure("ERROR", "console", stream=sys.stderr)
    _await(_send(settings, topic, messages))


async def _send(settings: Settings, topic: str, messages: list[str]) -> None:
    async with app.engine(settings) as engine:
        try:
            places = await engine.send(topic, [message.encode() for message in messages])
        except DependencyError as error:
            told = engine.describe_error(error)
            raise Failed(f"{told.reason}: {told.message}\nFix: {told.remedy}") from error
    for partition, offset in places:
        click.echo(f"{topic} partition {partition} offset {offset}")


@cli.command()
@click.option(
    "--after-pods", metavar="SELECTOR", help="First wait until no Pod of OPERATOR_NAMESPACE has these labels."
)
@click.option(
    "--limit", type=click.FloatRange(min=0), default=90.0, show_default=True, help="Seconds to wait for them."
)
def release_finalizers(after_pods: str | None, limit: float) -> None:
    """Let resources be deleted without the operator: for after its uninstallation.

    Takes the operator's finalizer off all resources that it watches (WATCH_NAMESPACES, WATCH_LABEL_SELECTOR),
    except those that another operator looks after, and prints them.
    """
    settings = _settings()
    logs.configure("ERROR", "console", stream=sys.stderr)
    _await(_release_finalizers(settings, after_pods, limit))


async def _release_finalizers(settings: Settings, after_pods: str | None, limit: float) -> None:
    from connectivity_operator import uninstall

    try:
        async with app.kubernetes_api(settings) as api:
            if after_pods and (left := await uninstall.pods_gone(api, settings.operator_namespace, after_pods, limit)):
                click.echo(f"still running after {limit:g} s, not waited for: {', '.join(left)}", err=True)
            released = await uninstall.release(api, settings)
    except ConnectivityError as error:
        raise Failed(f"{error}\nNot every resource was released; run it again.") from error
    for name in released:
        click.echo(f"released {name}")
    click.echo(f"{len(released)} resources released; `kubectl delete` no longer waits for an operator.")


class Refused(click.ClickException):
    """Bad usage or settings."""

    exit_code = 2


class Failed(click.ClickException):
    """A dependency, or the API server, did not do its part."""

    exit_code = 1


def _settings() -> Settings:
    try:
        return Settings.load()
    except SettingsError as error:
        lines = "\n".join(f"  {name}: {problem}" for name, problem in error.problems)
        raise Refused(f"the environment is not usable:\n{lines}") from error


def _services(only: str | None) -> tuple[Service, ...]:
    if only is None:
        return DEPENDENCIES
    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in DEPENDENCIES]
    if unknown or not names:
        known = ", ".join(DEPENDENCIES)
        raise Refused(f"--only: {', '.join(unknown) or 'nothing named'}; known are {known}")
    return tuple(service for service in DEPENDENCIES if service in names)


def _spec(file: TextIO) -> ResourceSpec:
    try:
        bodies = [b for b in yaml.safe_load_all(file) if isinstance(b, dict) and b.get("kind") == KIND]
    except yaml.YAMLError as error:
        raise Refused(f"{file.name}: not YAML: {error}") from error
    if len(bodies) != 1:
        raise Refused(f"{file.name}: expected one {KIND}, found {len(bodies)}")
    try:
        return parse_spec(bodies[0]["spec"])
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"{file.name}: spec is incomplete or wrong: {error}") from error


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


def _await(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        sys.exit(130)
