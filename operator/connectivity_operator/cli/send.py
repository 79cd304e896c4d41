"""``send``: test messages with the operator's own login."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

import click

from connectivity_operator import logs
from connectivity_operator.cli import shell
from connectivity_operator.errors import DependencyError
from connectivity_operator.settings import Settings


@click.command(short_help="Send test messages with the operator's own IAM login.")
@click.argument("topic")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("-f", "--file", type=click.File("rb"), help="File with one message per line; - is standard input.")
def send(topic: str, texts: tuple[str, ...], file: BinaryIO | None) -> None:
    """Send test messages to TOPIC with the operator's own IAM login, and print partition and offset of each.

    Needs kafka-cluster:WriteData on the topic, which nothing else does.
    """
    shell.check_name("TOPIC", "topic", topic)
    # Bytes as they were given: what is no UTF-8 is worth a test, too.
    messages = [*map(os.fsencode, texts), *(line.rstrip(b"\n") for line in file or ())]
    if not messages:
        raise shell.Refused("nothing to send: give TEXT arguments or -f FILE (- for standard input)")
    settings = shell.settings()
    logs.configure("ERROR", "console", stream=sys.stderr)
    shell.wait(_send(settings, topic, messages))


async def _send(settings: Settings, topic: str, messages: list[bytes]) -> None:
    from connectivity_operator import app

    async with app.engine(settings) as engine:
        try:
            places = await engine.send(topic, messages)
        except DependencyError as error:
            told = engine.describe_error(error)
            raise shell.Failed(f"{told.reason}: {told.message}\nFix: {told.remedy}") from error
    for partition, offset in places:
        click.echo(f"{topic} partition {partition} offset {offset}")
