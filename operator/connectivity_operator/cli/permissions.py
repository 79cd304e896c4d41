"""``permissions``: the least privileges that must be granted, ready to be pasted."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

import click

from connectivity_operator import __version__, app, logs
from connectivity_operator.cli import resource_files, shell
from connectivity_operator.cli.resource_files import Named
from connectivity_operator.errors import ConnectivityError, NotAllowed, PolicyError
from connectivity_operator.permissions import Demand, Privileges
from connectivity_operator.policy import PolicyFile
from connectivity_operator.reports import privileges as report
from connectivity_operator.settings import Settings

_TOPIC = re.compile(r"[a-zA-Z0-9._*-]{1,249}")
_INDEX = re.compile(r"[a-z0-9*][a-z0-9._*-]{0,254}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+")
_SHOWN = 5


@click.command()
@click.option("-f", "--file", "files", type=click.File(), multiple=True, help="Resources; - is standard input.")
@click.option("--topic", "topics", multiple=True, help="Topic, or pattern with *; may be repeated.")
@click.option("--index", "indices", multiple=True, help="Index, or pattern with *; may be repeated.")
@click.option("--create", is_flag=True, help="The operator itself creates an absent index and table.")
@click.option("--send", is_flag=True, help="`connectivity-operator send` is used, too.")
@click.option("--role-arn", help="The role; default: AWS_ROLE_ARN.")
@click.option("--service-account", metavar="NAMESPACE/NAME", help="Who has the role; default: the Pod's own.")
@click.option("--issuer", help="The cluster's OIDC issuer; default: that of the Pod's token.")
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
    """Print the least privileges for the settings in the environment: IAM, trust, collection, SQL, ports.

    For the resources that the operator watches in the cluster; with -f, --topic or --index for those alone, and no
    cluster is asked. AWS is never asked: what cannot be known is a <placeholder>.
    """
    try:
        settings = shell.settings()
        told = _told(role_arn, service_account, issuer)
        found = _privileges(settings, files, topics, indices, told, create=create, send=send)
    except click.ClickException as error:
        if output == "json":
            click.echo(report.failed_json(error.message, __version__))
        raise
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
        resources = [named for file in files for named in resource_files.read(file)]
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
    return app.least_privileges(settings, demand, told, allowed.left_out)


@dataclass(frozen=True)
class _Allowed:
    resources: tuple[Named, ...]
    left_out: tuple[str, ...]
    """A sentence for each of the others."""


def _allowed(settings: Settings, resources: Iterable[Named]) -> _Allowed:
    """Without those that the policy refuses: whoever can create a resource must not choose what the role may do."""
    try:
        policy = PolicyFile(settings.policy_file, settings.operator_namespace).current
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


def _in_cluster(settings: Settings) -> list[Named]:
    logs.configure("ERROR", "console", stream=sys.stderr)
    try:
        bodies = shell.wait(app.watched_resources(settings))
    except ConnectivityError as error:
        raise shell.Refused(
            f"the cluster cannot be asked for resources: {error}\n"
            "Without a cluster give resources with -f FILE (- is standard input), or names with --topic and --index."
        ) from error
    return [resource_files.named(body, "the cluster") for body in bodies]


def _told(role_arn: str | None, service_account: str | None, issuer: str | None) -> dict[str, str]:
    """What the command line says of the principal, as `app.least_privileges` takes it."""
    told = {}
    if role_arn is not None:
        if not _ROLE.fullmatch(role_arn):
            raise shell.Refused(f"--role-arn: {role_arn!r} is not like arn:aws:iam::111122223333:role/<role>")
        told["role_arn"] = role_arn
    if service_account is not None:
        namespace, slash, name = service_account.partition("/")
        if not (namespace and slash and name) or "/" in name:
            raise shell.Refused(f"--service-account: {service_account!r} is not like NAMESPACE/NAME")
        told["subject"] = f"system:serviceaccount:{namespace}:{name}"
    if issuer is not None:
        told["issuer_host"] = issuer.removeprefix("https://").rstrip("/")
    return told


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
