"""The command line of the lab: ``python -m lab …``."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from lab import machine, operator_env, parts, paths, processes, progress, runner
from lab.kubernetes import access, identities, programs
from lab.part import PartError

FORWARDED = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
"""For commands whose arguments are all another program's."""


class _Group(click.Group):
    """Says what went wrong in words, exit code 1, instead of showing a trace."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except PartError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run the lab: real servers on loopback that really refuse.

    Kubernetes, MSK, RDS, OpenSearch Serverless, IAM, OpenAI, DNS.
    """


@main.command()
@click.option(
    "--only", metavar="PARTS", envvar="LAB_PARTS", help="Comma-separated; what they need is added. [all but node]"
)
def up(only: str | None) -> None:
    """Start the lab; what already runs is left alone."""
    wanted = parts.with_needs(only.split(",") if only else parts.BY_DEFAULT)
    with progress.display(sys.stdout) as display:
        runner.up(wanted, display)


@main.command()
def prepare() -> None:
    """Fetch and build what lab, demo and tests need.

    Afterwards they need no network. Starts nothing.
    """
    from lab import scanners
    from lab.node import operator_image

    with progress.display(sys.stdout) as display:
        runner.prepare([parts.load(name) for name in parts.NAMES], display)
    click.echo("the operator's image (a few minutes the first time, one when the code has changed)")
    click.echo(f"  {operator_image.archive()}")
    click.echo("Helm 3, which the chart must work with as well")
    click.echo(f"  {programs.helm_3()}")
    click.echo("the scanners of chart and image (a minute the first time)")
    click.echo(f"  {scanners.folder()}")


@main.command()
@click.option("--purge", is_flag=True, help="Remove its data, keys and logs too.")
def down(purge: bool) -> None:
    """Stop every process of the lab; its data is kept."""
    runner.down(purge=purge)


@main.command()
@click.argument("name")
def start(name: str) -> None:
    """Start a stopped part (kafka) or process (kafka-1) again."""
    runner.start(name)


@main.command()
@click.argument("name")
@click.option("--kill", is_flag=True, help="SIGKILL, as the kernel does when memory is short.")
def stop(name: str, kill: bool) -> None:
    """Stop a part (kafka) or process (kafka-1); its data is kept."""
    runner.kill(name) if kill else runner.stop(name)


@main.command()
def status() -> None:
    """Show the state of each part.

    Exit code 1 unless all are ready (node only if it was started).
    """
    down = runner.State.DOWN
    found = [one for one in runner.status() if one.part not in parts.ON_REQUEST or one.state != down]
    for one in found:
        running = ", ".join(f"{record.name} {record.pid}" for record in one.processes if processes.alive(record))
        click.echo(f"{one.part:<11} {one.state:<10} {one.detail or running}".rstrip())
    if guest := processes.find(operator_env.OPERATOR_PROCESS):
        click.echo(f"{guest.name:<11} {'running':<10} {guest.name} {guest.pid}")
    if any(one.state != runner.State.READY for one in found):
        sys.exit(1)


@main.command()
@click.argument("name", type=click.Choice(sorted(identities.ALL)), default=identities.OPERATOR.service_account)
def env(name: str) -> None:
    """Print the operator's environment, for `eval` in a shell."""
    for variable, value in operator_env.environment(identities.ALL[name]).items():
        click.echo(f"export {variable}={shlex.quote(value)}")


@main.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True)
@click.option("-n", "--lines", default=100, show_default=True)
def logs(name: str, follow: bool, lines: int) -> None:
    """Show the log of a part or process.

    The servers log the true reason of each refusal, which clients never see.
    """
    files = sorted({*paths.LOGS.glob(f"{name}.log"), *paths.LOGS.glob(f"{name}-*.log")})
    if not files:
        known = ", ".join(sorted(file.stem for file in paths.LOGS.glob("*.log")))
        raise PartError(f"there is no log of {name}; there are {known or 'none'}")
    _become(["tail", f"--lines={lines}", *(["-F"] if follow else []), *map(str, files)])


@main.command(context_settings=FORWARDED)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl(arguments: tuple[str, ...]) -> None:
    """Run kubectl as the cluster's administrator."""
    _become([str(programs.kubectl()), *arguments], {"KUBECONFIG": str(access.ADMIN)})


@main.command(context_settings=FORWARDED)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def helm(arguments: tuple[str, ...]) -> None:
    """Run Helm as the cluster's administrator."""
    _become([str(programs.helm()), *arguments], {"KUBECONFIG": str(access.ADMIN)})


@main.command(context_settings={"allow_interspersed_args": False})
@click.option("--as", "name", type=click.Choice(sorted(identities.ALL)), default="operator", show_default=True)
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
def run(name: str, argv: tuple[str, ...]) -> None:
    """Run a program in the operator's place.

    It has the operator's environment and identity, and the lab's resolver.
    """
    wrapped, environment = operator_env.command(argv, identity=identities.ALL[name])
    os.execvpe(wrapped[0], wrapped, environment)


@main.group()
def fault() -> None:
    """Break one thing in the lab, and mend it: list, on, off."""


@fault.command(name="list")
@click.option("--on", "only_on", is_flag=True, help="Only those that are on.")
def fault_list(only_on: bool) -> None:
    """List every fault and how it is provoked; those that are on are marked."""
    from lab.faults import FAULTS, switches  # loads client libraries

    active = switches.are_on()
    for one in FAULTS.values():
        if one.name in active or not only_on:
            click.echo(f"{'on ' if one.name in active else '   '} {one.name:<40} {one.summary}")


@fault.command(name="on")
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
def fault_on(names: tuple[str, ...]) -> None:
    """Switch faults on.

    Those that change settings affect only what is started afterwards (`lab run`, the operator).
    """
    from lab.faults import switches

    _by_name(switches.on, names)


@fault.command(name="off")
@click.argument("names", nargs=-1, metavar="NAME…")
@click.option("--all", "everything", is_flag=True, help="All that are on.")
def fault_off(names: tuple[str, ...], everything: bool) -> None:
    """Switch faults off."""
    from lab.faults import switches

    if bool(names) == everything:
        raise click.UsageError("name the faults to switch off, or give --all")
    if not everything:
        _by_name(switches.off, names)
    elif stuck := switches.off_all():
        raise PartError(f"not switched off, a server does not answer (python -m lab status): {', '.join(stuck)}")


def _by_name(switch: Callable[[Iterable[str]], None], names: tuple[str, ...]) -> None:
    from lab.faults.switches import UnknownFault

    try:
        switch(names)
    except UnknownFault as error:
        raise click.UsageError(str(error)) from error


@main.command()
@click.option("--process", is_flag=True, help="Run the operator from the checkout: no image, no Pod.")
def demo(process: bool) -> None:
    """Show the operator at work, end to end.

    Installs the operator, applies a resource, sends ten messages and shows what became of them. Needs a running lab
    (`up`).
    """
    from lab import demo as show  # loads the embedding model

    show.run(process=process)


@main.command()
@click.option("--output", default="dist", show_default=True, help="Folder for the archive and what it is made of.")
def image(output: str) -> None:
    """Build the operator's image and its bill of materials.

    Needs neither a container engine nor a registry. The bill of materials is in CycloneDX format.
    """
    from lab.node import bill_of_materials, operator_image

    archive, bill = bill_of_materials.write(Path(output))
    click.echo(f"{archive}: docker load --input {archive}, podman and `ctr images import` likewise")
    click.echo(f"  named {operator_image.reference()}")
    for number, layer in enumerate(bill_of_materials.layers(archive), start=1):
        click.echo(f"  layer {number}: {layer.size / 1e6:.0f} MB, {layer.compressed / 1e6:.0f} MB as a node fetches it")
    click.echo(f"{bill}: its bill of materials")


@main.command()
def doctor() -> None:
    """Say what the machine lacks, and how to get it.

    Exit code 1 if anything is missing.
    """
    findings = machine.examine()
    for finding in findings:
        need = finding.need
        verdict = f"ok       {finding.found}" if finding.found else f"MISSING  {need.purpose}. Get it: {need.fix}"
        click.echo(f"{need.name:<12} {verdict}")
    if any(finding.found is None for finding in findings):
        sys.exit(1)


@main.command()
def install() -> None:
    """Install what the machine lacks, from Debian packages."""
    packages = machine.packages(machine.examine())
    if packages:
        click.echo(f"installing {' '.join(packages)}")
        machine.install(packages)
    else:
        click.echo("nothing to install")


def _become(argv: list[str], extra: dict[str, str] | None = None) -> None:
    """Replace this process: signals, terminal and exit code are the program's own."""
    os.execvpe(argv[0], argv, {**os.environ, **(extra or {})})
