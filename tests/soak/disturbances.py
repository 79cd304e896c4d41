"""What happens to a healthy environment every week and must not alarm anybody.

Each disturbance passes by itself within a few seconds: less than the fifteen after which a passing fault shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from lab import runner, world
from lab.faults import packets
from lab.iam import control as iam
from lab.kubernetes import identities
from lab.openai import control as openai
from lab.opensearch import control as opensearch
from lab.postgresql import control as postgresql

FAULT = "soak"
MOMENT = 2.0
"""Seconds for which an address refuses connections."""
SLOW = 3.0
"""Seconds that a slow answer takes: below the limit of every resource of the soak."""
CREDENTIALS_LIVE = 930
"""Seconds. The operator renews them from 15 minutes before their end on, so these are renewed every half minute."""
SESSIONS_LIVE = 60
"""Seconds after which a broker wants a login again on the same connection."""

_SOON_AT_THEIR_END = {"faults": {"credentials_cap_seconds": CREDENTIALS_LIVE, "session_cap_seconds": SESSIONS_LIVE}}


@contextmanager
def short_lives() -> Iterator[None]:
    """Credentials and logins end early for as long as the block lasts; those issued before are forgotten with it."""
    with iam.changed(_SOON_AT_THEIR_END):
        yield


def _restart(process: str) -> None:
    runner.stop(process)
    runner.start(process)


def _refuse(address: str, port: int) -> None:
    """What connects there is refused, and what is connected is reset, for a moment."""
    packets.block(FAULT, address, port, packets.REFUSE)
    try:
        time.sleep(MOMENT)
    finally:
        packets.clear(FAULT)


Disturbance = Callable[[], None]

ALL: Mapping[str, Disturbance] = {
    "broker 2 restarted": partial(_restart, "kafka-2"),
    "OpenAI answers 429 once": partial(openai.inject, "rate_limit_exceeded", times=1),
    "OpenSearch resets a connection": partial(opensearch.inject, connection="reset", times=1),
    "STS refuses connections for a moment": partial(_refuse, world.STS[1], 443),
    "PostgreSQL ends every session": postgresql.disconnect_users,
    "OpenAI answers slowly once": partial(openai.inject, delay_seconds=SLOW, times=1),
    "a broker refuses connections for a moment": partial(_refuse, world.BROKERS[1][1], 9098),
    "OpenSearch answers 429 once": partial(opensearch.inject, status=429, times=1),
    "OpenAI resets a connection": partial(openai.inject, "reset", times=1),
    "the ServiceAccount's token is renewed": partial(identities.issue, identities.OPERATOR),
    "OpenSearch answers slowly once": partial(opensearch.inject, delay_seconds=SLOW, times=1),
    "PostgreSQL refuses connections for a moment": partial(_refuse, world.POSTGRESQL[1], 5432),
    "broker 1, the controller, restarted": partial(_restart, "kafka-1"),
    "OpenAI refuses connections for a moment": partial(_refuse, world.OPENAI[1], 443),
    "OpenSearch refuses connections for a moment": partial(_refuse, world.OPENSEARCH[1], 443),
    "OpenAI answers 500 once": partial(openai.inject, "server_error", times=1),
}
"""By name, in an order in which no service has two in a row."""
