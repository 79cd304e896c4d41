"""``release-finalizers``: what the uninstallation leaves to do."""

from __future__ import annotations

import sys

import click

from connectivity_operator import logs, uninstall
from connectivity_operator.cli import shell
from connectivity_operator.errors import ConnectivityError
from connectivity_operator.resource import FINALIZER
from connectivity_operator.settings import Settings
from connectivity_operator.uninstall import Outcome


@click.command(short_help="After an uninstall: let resources be deleted without the operator.")
@click.option(
    "--after-pods", metavar="SELECTOR", help="First wait until no Pod in OPERATOR_NAMESPACE has these labels."
)
@click.option(
    "--limit", type=click.FloatRange(min=0), default=90.0, show_default=True, help="How many seconds to wait for them."
)
def release_finalizers(after_pods: str | None, limit: float) -> None:
    """Let resources be deleted without the operator. For use after it has been uninstalled.

    Removes the operator's finalizer from all resources that it watched (WATCH_NAMESPACES, WATCH_LABEL_SELECTOR),
    except those that another operator manages: whose status is signed by another one than
    OPERATOR_NAMESPACE/OPERATOR_NAME, and still valid. Prints them all.
    """
    settings = shell.settings()
    logs.configure("ERROR", "console", stream=sys.stderr)
    shell.wait(_release_finalizers(settings, after_pods, limit))


async def _release_finalizers(settings: Settings, after_pods: str | None, limit: float) -> None:
    from connectivity_operator import app

    try:
        async with app.kubernetes_api(settings) as api:
            if after_pods and (left := await uninstall.pods_gone(api, settings.operator_namespace, after_pods, limit)):
                click.echo(f"still running after {limit:g} s, not waited for: {', '.join(left)}", err=True)
            outcome = await uninstall.release(api, settings)
    except ConnectivityError as error:
        raise shell.Failed(f"{error}\nNot every resource was released; run it again.") from error
    click.echo(_told(outcome, uninstall.name_of(settings)))


def _told(outcome: Outcome, us: str) -> str:
    lines = [f"released {name}" for name in outcome.released]
    lines += [f"kept     {name} (looked after by {other})" for other, names in outcome.kept.items() for name in names]
    lines.append(f"{_resources(len(outcome.released))} of operator {us} released from the finalizer {FINALIZER}.")
    for other, names in outcome.kept.items():
        namespace, _, name = other.partition("/")
        lines.append(
            f"{_resources(len(names))} kept it: their status is signed by operator {other} and still valid. If that is "
            f"the one that is gone: OPERATOR_NAMESPACE={namespace} OPERATOR_NAME={name}"
        )
    return "\n".join(lines)


def _resources(count: int) -> str:
    return "1 resource" if count == 1 else f"{count} resources"
