"""``permissions``: the least privileges that must be granted, ready to be pasted."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

import click

from connectivity_operator import __version__, logs, resource_file
from connectivity_operator.cli import shell
from connectivity_operator.cli.outputs import asked_for
from connectivity_operator.errors import ConnectivityError, NotAllowed, PolicyError
from connectivity_operator.permissions import Demand, Privileges
from connectivity_operator.policy import Policy
from connectivity_operator.reports import privileges as report
from connectivity_operator.resource import KIND
from connectivity_operator.resource_file import Named, ResourceFileError
from connectivity_operator.settings import Settings

_TOPIC = re.compile(r"[a-zA-Z0-9._*-]{1,249}")
_INDEX = re.compile(r"[a-z0-9*][a-z0-9._*-]{0,254}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+")
_SHOWN = 5


class _Telling(click.Command):
    """A command whose refusals are JSON too, where that is asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        as_json = any(output.format == "json" for output in asked_for(args))
        with _told(as_json=as_json):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _told(as_json=ctx.params["output"] == "json"):
            return super().invoke(ctx)


@contextmanager
def _told(*, as_json: bool) -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        if as_json:
            click.echo(report.failed_json(error.format_message(), __version__))
        raise


@click.command(cls=_Telling, short_help="Print the least privileges: IAM, trust, collection, SQL, ports.")
@click.option(
    "-f",
    "--file",
    "files",
    type=click.File(encoding="utf-8"),
    multiple=True,
    help="ConnectivityTests (YAML); - is standard input.",
)
@click.option("--topic", "topics", multiple=True, help="Topic, or a pattern with *. May be repeated.")
@click.option("--index", "indices", multiple=True, help="Index, or a pattern with *. May be repeated.")
@click.option("--create", is_flag=True, help="Let the operator create the index and the table.")
@click.option("--send", is_flag=True, help="Include what `connectivity-operator send` needs.")
@click.option("--role-arn", help="The operator's role. Default: AWS_ROLE_ARN.")
@click.option("--service-account", metavar="NAMESPACE/NAME", help="Who may assume the role. Default: this Pod's.")
@click.option("--issuer", help="The cluster's OIDC issuer. Default: that of this Pod's token.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def permissions(
    files: tuple[TextIO, ...],
    topics: tuple[str, ...],
    indices: tuple[str, ...],
    create: bool,
    send: bool,
    role_arn: str | None,
    service_account: str | None,
    issuer: str | None,
    output: str,
) -> None:
    """Print the least privileges that the settings in the environment need: IAM, trust, collection, SQL, ports.

    By default for all resources that the operator watches in the cluster; with -f, --topic or --index only for those,
    and no cluster is needed. AWS is never called: what cannot be known from here is a <placeholder>.
    """
    settings = shell.settings()
    told = _facts(role_arn, service_account, issuer)
    found = _privileges(settings, files, topics, indices, told, create=create, send=send)
    click.echo(report.render_json(found, __version__) if output == "json" else report.render_text(found))


def _privileges(
    settings: Settings,
    files: Sequence[TextIO],
    topics: Sequence[str],
    indices: Sequence[str],
    told: dict[str, str],
    *,
    create: bool,
    send: bool,
) -> Privileges:
    _check("--topic", topics, _TOPIC)
    _check("--index", indices, _INDEX)
    if files:
        resources = [named for file in files for named in _read(file)]
        source = f"{', '.join(file.name for file in files)}: {_counted(resources)}"
    elif topics or indices:
        resources, source = [], "the command line"
    else:
        resources = _in_cluster(settings)
        source = f"the cluster, {_watched(settings)}: {_counted(resources)}"
    if files and (topics or indices):
        source += ", and the command line"
    allowed = _allowed(settings, resources)
    demand = Demand(
        source,
        tuple(sorted({*topics, *(topic for named in allowed.resources for topic in named.spec.topics)})),
        tuple(sorted({*indices, *(named.spec.index for named in allowed.resources)})),
        create=create,
        send=send,
    )
    from connectivity_operator import app

    return app.least_privileges(settings, demand, told, allowed.left_out)


@dataclass(frozen=True)
class _Allowed:
    resources: tuple[Named, ...]
    left_out: tuple[str, ...]
    """A sentence for each of the others."""


def _allowed(settings: Settings, resources: Iterable[Named]) -> _Allowed:
    """Without those that the policy refuses: whoever can create a resource must not choose what the role may do."""
    try:
        policy = Policy.load(settings.policy_file, settings.operator_namespace)
    except PolicyError as error:
        raise shell.Refused(str(error)) from error
    kept, left_out = [], []
    for named in resources:
        try:
            if named.namespace:
                policy.check(named.namespace, named.spec)
            kept.append(named)
        except NotAllowed as refusal:
            left_out.append(f"{named} is left out, the operator does not serve it. {refusal}")
    return _Allowed(tuple(kept), tuple(left_out))


def _read(file: TextIO) -> list[Named]:
    try:
        found = resource_file.resources(file.read(), file.name)
    except ResourceFileError as error:
        raise shell.Refused(str(error)) from error
    except (UnicodeDecodeError, OSError) as error:
        raise shell.Refused(f"{file.name}: cannot be read as text ({type(error).__name__})") from error
    if not found:
        raise shell.Refused(f"{file.name}: has no {KIND} in it")
    return found


def _in_cluster(settings: Settings) -> list[Named]:
    from connectivity_operator import app

    logs.configure("ERROR", "console", stream=sys.stderr)
    try:
        bodies = shell.wait(app.watched_resources(settings))
    except ConnectivityError as error:
        raise shell.Refused(
            f"the cluster cannot be asked for resources: {error}\n"
            "Without a cluster give resources with -f FILE (- is standard input), or names with --topic and --index."
        ) from error
    return [resource_file.named(body) for body in bodies]


def _facts(role_arn: str | None, service_account: str | None, issuer: str | None) -> dict[str, str]:
    """What the command line says of the principal, as `app.least_privileges` takes it."""
    facts = {}
    if role_arn is not None:
        if not _ROLE.fullmatch(role_arn):
            raise shell.Refused(f"--role-arn: {role_arn!r} is not like arn:aws:iam::111122223333:role/<role>")
        facts["role_arn"] = role_arn
    if service_account is not None:
        namespace, slash, name = service_account.partition("/")
        if not (namespace and slash and name) or "/" in name:
            raise shell.Refused(f"--service-account: {service_account!r} is not like NAMESPACE/NAME")
        facts["subject"] = f"system:serviceaccount:{namespace}:{name}"
    if issuer is not None:
        facts["issuer_host"] = issuer.removeprefix("https://").rstrip("/")
    return facts


def _check(option: str, names: Iterable[str], pattern: re.Pattern[str]) -> None:
    for name in names:
        if not pattern.fullmatch(name):
            raise shell.Refused(f"{option}: {name!r} is not a name, nor a pattern of one with *")


def _counted(resources: Sequence[Named]) -> str:
    if not resources:
        return "no ConnectivityTest"
    shown = ", ".join(str(named) for named in resources[:_SHOWN])
    more = f" and {len(resources) - _SHOWN} more" if len(resources) > _SHOWN else ""
    return f"{len(resources)} resource{'s' if len(resources) > 1 else ''} ({shown}{more})"


def _watched(settings: Settings) -> str:
    namespaces = ", ".join(settings.watch_namespaces)
    where = f"namespaces {namespaces}" if namespaces else "all namespaces"
    return f"{where} with {settings.watch_label_selector}" if settings.watch_label_selector else where
