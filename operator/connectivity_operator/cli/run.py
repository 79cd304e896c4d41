"""``run``: the operator itself."""

from __future__ import annotations

import click

from connectivity_operator import logs
from connectivity_operator.cli import shell
from connectivity_operator.errors import PolicyError


@click.command(short_help="Run the operator.")
def run() -> None:
    """Run the operator, in a Pod or, with KUBECONFIG, anywhere else."""
    # kopf and the Kubernetes client are heavy; `check` and `send` do without them.
    from connectivity_operator.handlers.running import run as run_handlers
    from connectivity_operator.host import Operator

    settings = shell.settings()
    logs.configure(settings.log_level, settings.log_format)
    if settings.postgres_password:
        logs.hide(settings.postgres_password.get_secret_value())
    try:
        host = Operator(settings)
    except PolicyError as error:
        raise shell.Refused(str(error)) from error
    run_handlers(settings, host)
