"""The command line: one module a command, named after it; what they share with the shell is `shell`.

Exit codes: 0 done, 1 a dependency failed, 2 usage or settings, 130 interrupted (143: by SIGTERM).
"""

from __future__ import annotations

import click

from connectivity_operator import __version__
from connectivity_operator.cli import check, explain, permissions, release_finalizers, run, send


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="connectivity-operator")
def cli() -> None:
    """Does this workload reach MSK, OpenAI, OpenSearch Serverless and RDS with its IAM role, and if not, why not?

    All settings come from environment variables; README.md and .env.example list them.
    """


for command in (
    run.run,
    check.check,
    explain.explain,
    permissions.permissions,
    send.send,
    release_finalizers.release_finalizers,
):
    cli.add_command(command)
