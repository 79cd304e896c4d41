"""``check``: every ladder once, told as a table, JSON, JUnit or HTML, on every way out."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TextIO

import click

from connectivity_operator import __version__, logs
from connectivity_operator.cli import outputs as written
from connectivity_operator.cli import shell
from connectivity_operator.cli.checking import Checking
from connectivity_operator.cli.outputs import Output, OutputType
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.models import dimensions as native_dimensions
from connectivity_operator.reasons import DEPENDENCIES, Service
from connectivity_operator.reports import Options, Report
from connectivity_operator.resource import ResourceSpec
from connectivity_operator.resource_file import ResourceFileError
from connectivity_operator.resource_file import spec as read_spec


class _Reporting(click.Command):
    """A command whose refusals are documents too, where documents are asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _told(written.asked_for(args)):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _told(ctx.params["outputs"]):
            return super().invoke(ctx)


@contextmanager
def _told(asked: Sequence[Output]) -> Iterator[None]:
    """Writes why the check could not begin to wherever a document is expected; the error goes its way."""
    documents = [output for output in asked if output.format in written.DOCUMENTS]
    started = datetime.now(UTC)
    try:
        yield
    except click.ClickException as error:
        _refuse(error.format_message(), started, documents)
        raise
    except KeyboardInterrupt as error:
        _refuse("interrupted before the first step", started, documents)
        click.echo("Interrupted before the first step.", err=True)
        raise SystemExit(shell.exit_code(error)) from None
    except click.exceptions.Exit:
        raise
    except Exception as error:
        with suppress(Exception):
            _refuse(f"the check itself is at fault ({type(error).__name__})", started, documents)
        raise


def _refuse(message: str, started: datetime, documents: Sequence[Output]) -> None:
    report = Report(__version__, started, (datetime.now(UTC) - started).total_seconds(), error=message)
    for document in documents:
        try:
            written.write(report, [document])
        except OSError:
            continue  # that it cannot be written is what is being told, or the lesser trouble


@click.command(cls=_Reporting, short_help="Check every dependency once and report what is wrong.")
@click.option("--topic", "topics", multiple=True, help="Topic to read from. May be repeated.")
@click.option("--index", help="OpenSearch index to check (nothing is left behind in it).")
@click.option("--model", help="Embedding model. Default: OPENAI_EMBEDDING_MODEL.")
@click.option("--dimensions", type=click.IntRange(1, 16000), help="Length of the vectors.")
@click.option(
    "-f", "--file", "file", type=click.File(encoding="utf-8"),
    help="Take topics, index, model and timeout from a ConnectivityTest in this YAML file; - is standard input.",
)  # fmt: skip
@click.option("--create", is_flag=True, help="Create the index if it does not exist. Without this, nothing is created.")
@click.option(
    "--only", multiple=True, help="Check only these, separated by commas: kafka, openai, opensearch, postgresql."
)
@click.option(
    "-o", "--output", "outputs", multiple=True, type=OutputType(),
    help="table (default), json, junit or html. FORMAT=FILE writes that file beside what is printed. May be repeated.",
)  # fmt: skip
def check(
    topics: tuple[str, ...],
    index: str | None,
    model: str | None,
    dimensions: int | None,
    file: TextIO | None,
    create: bool,
    only: tuple[str, ...],
    outputs: tuple[Output, ...],
) -> None:
    """Check every dependency once, rung by rung from DNS to a real operation, and report what is wrong.

    Needs no cluster. Without --topic or --index, Kafka or OpenSearch is checked up to the login only. Nothing is left
    behind.

    Exit codes: 0 all passed (warnings allowed), 1 a dependency failed, 2 wrong usage or settings, 130 or 143
    interrupted.
    """
    shell.end_on_sigterm()
    places = _places(outputs)
    services = _services(only)
    for topic in topics:
        shell.check_name("--topic", "topic", topic)
    if index is not None:
        shell.check_name("--index", "index", index)
    if model is not None:
        shell.check_name("--model", "model", model)
    spec = _spec(file) if file else None
    settings = shell.settings()
    options = Options(
        topics=tuple(dict.fromkeys(topics)) or (tuple(sorted(spec.topics)) if spec else ()),
        index=index or (spec.index if spec else None),
        model=model or (spec.model if spec else None) or settings.openai_embedding_model,
        dimensions=dimensions or (spec.dimensions if spec else None),
        file=file.name if file else None,
        create=create,
        only=tuple(services) if only else (),
    )
    logs.configure("ERROR", "console", stream=sys.stderr)
    checking = Checking(settings, options, _target(options), services, spec.timeout_seconds if spec else None)
    sys.exit(checking.run(lambda report: _write(report, places)))


def _places(outputs: tuple[Output, ...]) -> tuple[Output, ...]:
    try:
        places = written.complete(outputs)
        written.clear(places)
    except ValueError as error:
        raise shell.Refused(f"--output: {error}") from error
    except OSError as error:
        raise shell.Refused(f"--output: {error.filename} cannot be written ({error.strerror})") from error
    return places


def _write(report: Report, places: Sequence[Output]) -> None:
    try:
        written.write(report, places)
    except OSError as error:
        raise shell.Refused(f"--output: {error.filename} cannot be written ({error.strerror})") from error


def _services(only: tuple[str, ...]) -> tuple[Service, ...]:
    if not only:
        return DEPENDENCIES
    names = [name.strip() for text in only for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in DEPENDENCIES]
    if unknown or not names:
        known = ", ".join(DEPENDENCIES)
        raise shell.Refused(f"--only: {', '.join(unknown) or 'nothing named'}; known are {known}")
    return tuple(service for service in DEPENDENCIES if service in names)


def _spec(file: TextIO) -> ResourceSpec:
    try:
        return read_spec(file.read(), file.name)
    except ResourceFileError as error:
        raise shell.Refused(str(error)) from error
    except UnicodeDecodeError as error:
        raise shell.Refused(f"{file.name}: not UTF-8 text") from error
    except OSError as error:
        raise shell.Refused(f"{file.name}: cannot be read ({error.strerror})") from error


def _target(options: Options) -> Target:
    return Target(
        topics=frozenset(options.topics),
        index=options.index,
        model=options.model,
        dimensions=native_dimensions(options.model, options.dimensions) if options.model else options.dimensions,
        # A group of its own: a resource's group must not be disturbed, and joining proves the right to.
        group=f"connectivity-test.check.{secrets.token_hex(4)}" if options.topics else None,
        join=True,
        create=options.create,
    )
