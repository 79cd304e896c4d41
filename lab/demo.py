"""The main job as a user does it: install the operator, apply a resource, send ten messages, see what came of them.

Then a permission is taken away, named, and given back.

Every step shows the command that a person would type. Everything is left running.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.table import Column, Table

from lab import installation, operator_env, paths, world
from lab.faults import switches
from lab.openai.embedding import Embedder
from lab.openai.models import MODELS
from lab.opensearch import admin as opensearch
from lab.operating import NAMESPACE, Operator, Resource, kubectl, until
from lab.part import PartError
from lab.postgresql import psql

NAME, INDEX, TOPIC = "minimal", "connectivity-test", "connectivity-test"
SAMPLE = "samples/00-minimal.yaml"

MESSAGES = (
    "The parcel left the warehouse this morning",
    "Payment of 40 pounds was received by card",
    "The customer wants to return a pair of red shoes",
    "Our router in Leeds lost its fibre connection",
    "A new broadband contract was signed in Manchester",
    "The engineer will visit on Thursday afternoon",
    "Password reset requested for a user account",
    "The invoice for October is overdue",
    "Database backup finished without errors",
    "Heavy rain delays deliveries in Scotland",
)
QUESTIONS = {
    "Somebody forgot their login": 6,
    "The internet connection is broken": 3,
    "A refund for footwear": 2,
}
"""A question -> the message that is the right nearest neighbour."""

FAULT = "kafka-readdata-denied"


HELM = f"helm upgrade --install operator {installation.CHART} --dependency-update --wait -f …"


def run(*, process: bool = False) -> None:
    """Show the main job end to end; raises `PartError` naming what did not come.

    ``process``: the operator is not built and installed, but runs from the checkout, as a process.
    """
    if process:
        _start()
    else:
        _install()

    _step("apply a resource", f"kubectl apply -f {SAMPLE}")
    resource = Resource(NAME, [TOPIC], INDEX)
    resource.delete()
    _show("apply", "-f", str(paths.ROOT / SAMPLE))
    resource.until_reading()
    until(lambda: resource.condition("Ready")[0] == "True", limit=60, what="Ready")
    _show("get", "connectivitytests")

    send = ["connectivity-operator", "send", TOPIC]
    typed = " ".join(send if process else ["kubectl", "exec", f"deployment/{installation.DEPLOYMENT}", "--", *send])
    _step("send ten messages with the operator's own IAM login", f"{typed} TEXT…")
    click.echo((_send_from_here() if process else installation.execute(*send, *MESSAGES)).strip())

    _step("see the resource verified end to end", "kubectl get connectivitytests")
    until(lambda: resource.status["pipeline"]["logged"] == len(MESSAGES), limit=60, what="ten logged messages")
    resource.until("Ready", "EndToEndVerified")
    _show("get", "connectivitytests")

    _step("see the rows in PostgreSQL", "SELECT … FROM demo_log")
    _rows()

    _step("ask the index", "k-NN search with the same embedding model")
    _ask(resource)

    _step("take a permission away", f"python -m lab fault on {FAULT}")
    _named(resource)
    _farewell(process=process)


def _install() -> None:
    _step("build the operator's image, and load it into the node", "buildah build .")
    with _telling():
        image = installation.prepare()
    click.echo(image)

    _step("install the operator under its own ServiceAccount, with its IAM role", HELM)
    installation.install(image)
    _show("get", "pods", "-l", installation.PODS)


def _start() -> None:
    _step("start the operator, under its own ServiceAccount", "connectivity-operator run")
    installation.remove()
    operator = Operator()
    operator.stop()
    operator.start()


@contextmanager
def _telling() -> Iterator[None]:
    """What takes long the first time says so."""
    logger, handler = logging.getLogger("lab"), logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s …"))
    level, logger.propagate = logger.level, False
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = True


def _ask(resource: Resource) -> None:
    """Each message must be its own nearest neighbour, and each question's must be the message that answers it."""
    mine = opensearch.count(INDEX, {"prefix": {"message_id": resource.get()["metadata"]["uid"][:8]}})
    click.echo(f"{mine} documents of this resource")
    if mine != len(MESSAGES):
        raise PartError(f"there should be {len(MESSAGES)} documents")
    asked = {**{message: n for n, message in enumerate(MESSAGES)}, **QUESTIONS}
    embedder, model = Embedder(), MODELS["text-embedding-3-small"]
    vectors = embedder.embed(embedder.tokenize(list(asked)), model, model.dimensions)
    for (text, right), vector in zip(asked.items(), vectors.tolist(), strict=True):
        found = opensearch.nearest(INDEX, "vector", vector, k=1)[0]["text"]
        if found != MESSAGES[right]:
            raise PartError(f"the nearest neighbour of {text!r} should be {MESSAGES[right]!r}, not {found!r}")
        if text in QUESTIONS:
            click.echo(f"{text:<34} -> {found}")
    click.echo(f"and each of the {len(MESSAGES)} messages is its own nearest neighbour")


def _named(resource: Resource) -> None:
    """The fault's name, and what to do about it; then it is mended, and seen to be."""
    with switches.during([FAULT]):
        _check(resource, "ReadDataDenied")
        path = "jsonpath={.status.services[?(@.name=='kafka')].remedy}"
        _step("read what is missing", f'kubectl get ctest {NAME} -o "{path}"')
        click.echo(kubectl("-n", NAMESPACE, "get", "ctest", NAME, "-o", path))
    _step("give it back", f"python -m lab fault off {FAULT}")
    _check(resource, "Connected")


def _check(resource: Resource, expected: str) -> None:
    """Ask for a check at once, as after a change somewhere, instead of waiting for the next."""
    resource.request_check()
    resource.until("KafkaConnected", expected)
    _show("get", "connectivitytests")


def _send_from_here() -> str:
    wrapped, environment = operator_env.command(
        [sys.executable, "-m", "connectivity_operator", "send", TOPIC, *MESSAGES]
    )
    result = subprocess.run(wrapped, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if result.returncode:
        raise PartError(f"send failed:\n{result.stderr.strip()}")
    return result.stdout


def _rows() -> None:
    columns = "id, kafka_partition, kafka_offset, embedding_dimensions, log_level, message_content"
    sql = f"SELECT {columns} FROM demo_log WHERE kafka_topic = '{TOPIC}' ORDER BY id DESC LIMIT {len(MESSAGES)}"
    table = Table("id", "partition", "offset", "dimensions", "level", Column("message", no_wrap=True), box=None)
    for line in psql(sql).splitlines():
        table.add_row(*line.split("|", 5))
    Console(highlight=False, width=100).print(table)


def _show(*arguments: str) -> None:
    click.echo(kubectl("-n", NAMESPACE, *arguments), nl=False)


def _step(what: str, command: str) -> None:
    click.secho(f"\n── {what}", bold=True)
    click.secho(f"   $ {command}", dim=True)


def _farewell(*, process: bool) -> None:
    lab = "python -m lab"
    space = f"-n {world.OPERATOR_NAMESPACE}"
    logs = "logs -f operator" if process else f"kubectl {space} logs -f deployment/{installation.DEPLOYMENT}"
    ladders = f"run -- connectivity-operator check --topic {TOPIC} --index {INDEX}"
    if not process:
        ladders = f"helm test {installation.RELEASE} {space} --logs"
    click.secho("\nEverything is left running. Look around (after `. .venv/bin/activate`):", bold=True)
    for command, what in (
        (f"{lab} kubectl {space} describe ctest {NAME}", "the status with causes and remedies"),
        (f"{lab} {logs}", "what the operator does, step by step"),
        (f"{lab} {ladders}", "the ladders, once"),
        (f"{lab} fault list   (on NAME, off NAME)", "break something else and watch the columns"),
        ("make down", "stop everything"),
    ):
        click.echo(f"  {command}\n      {what}")
