"""The command line: a command starts itself again apart from everything else, measures there and tells."""

from __future__ import annotations

import sys

import click

from bench import alone, applying, backlogs, bringing_up, checking, pods, preparing, probing, report, resources
from bench.backlogs import Load
from bench.report import Result
from lab import apart, parts, runner
from lab.operating import Operator

LIMITS = {"prepare": 1500.0, "pod": 1200.0, "all": 1200.0}
LIMIT = 600.0
"""Seconds after which a command is ended: by its name, and for all others."""

_rounds = click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--write", is_flag=True, help="Put the tables into bench/README.md.")
@click.pass_context
def main(context: click.Context, write: bool) -> None:
    """Measure the operator and the lab, in a lab of its own beside the one that may run."""
    context.obj = write
    name = context.invoked_subcommand or ""
    if not alone.inside() and not {"-h", "--help"} & set(sys.argv):
        sys.exit(alone.run(sys.argv[1:], network=name != "prepare", limit=LIMITS.get(name, LIMIT)))


@main.command()
@_rounds
@click.pass_obj
def lab(write: bool, rounds: int) -> None:
    """Time of `lab up`, warm."""
    apart.loopback()
    _tell(write, bringing_up.measure(rounds))


@main.command()
@click.pass_obj
def prepare(write: bool) -> None:
    """Time of what the first `lab up` of a machine builds."""
    _tell(write, preparing.measure())


@main.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.pass_obj
def apply(write: bool, rounds: int) -> None:
    """From `kubectl apply` to `Ready=True`."""
    _lab_up(write)
    _tell(write, applying.measure(Operator(), rounds))


@main.command()
@_rounds
@click.option("--messages", default=Load.operator, show_default=True, help="For the operator.")
@click.option("--loop-messages", default=Load.loop, show_default=True, help="For the obvious loop.")
@click.option("--size", default=Load.size, show_default=True, help="Bytes of a message.")
@click.pass_obj
def backlog(write: bool, rounds: int, messages: int, loop_messages: int, size: int) -> None:
    """Messages a second through the whole pipeline, against the obvious loop."""
    _lab_up(write)
    _tell(write, backlogs.measure(Operator(), rounds, Load(messages, loop_messages, size)))


@main.command(name="resources")
@_rounds
@click.option("--window", default=resources.WINDOW, show_default=True, help="Seconds of idleness to look at.")
@click.pass_obj
def many(write: bool, rounds: int, window: float) -> None:
    """Memory, threads, connections and CPU of 1, 10 and 100 resources; a burst."""
    _lab_up(write)
    _tell(write, resources.measure(Operator(), rounds, window))


@main.command(name="pod")
@click.pass_obj
def in_a_pod(write: bool) -> None:
    """Memory and CPU of the operator's container, against the chart's requests and limits."""
    _lab_up(write)
    _tell(write, pods.measure())


@main.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.pass_obj
def check(write: bool, rounds: int) -> None:
    """`check` of everything against its slowest ladder alone."""
    _lab_up(write)
    _tell(write, checking.measure(Operator(), rounds))


@main.command()
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(1))
@click.pass_obj
def probes(write: bool, rounds: int) -> None:
    """Calls that the checks of 1,000 resources make, against those of 10."""
    _lab_up(write)
    _tell(write, probing.measure(rounds))


@main.command(name="all")
@click.pass_obj
def everything(write: bool) -> None:
    """All of the above but `prepare` and `pod`, in a quarter of an hour."""
    apart.loopback()
    _tell(write, bringing_up.measure(2))
    _lab_up(write)
    operator = Operator()
    _tell(write, applying.measure(operator, 5))
    _tell(write, backlogs.measure(operator, 3, Load()))
    _tell(write, resources.measure(operator, 3, resources.WINDOW))
    _tell(write, checking.measure(operator, 5))
    _tell(write, probing.measure(2))


def _lab_up(write: bool) -> None:
    apart.loopback()
    runner.up(parts.with_needs(parts.NAMES))
    _show(write, "circumstances", report.circumstances())


def _tell(write: bool, result: Result) -> None:
    report.keep(result)
    _show(write, result.name, result.text)


def _show(write: bool, name: str, text: str) -> None:
    click.echo(f"\n## {name}\n\n{text}")
    if write:
        report.publish(name, text)
