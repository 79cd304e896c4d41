"""The rung of a login that has no answer: its port is open, or the rungs below would have failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from connectivity_operator.diagnosis.catalogue import describe
from connectivity_operator.diagnosis.ladder import Climb, Notes, climb, login_step
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Rung, Service


async def logged_in(run: Callable[[Notes], Awaitable[None]], service: Service = Service.KAFKA) -> Climb:
    return await climb(service, [login_step(service, run, limit=0.05)], known={"host": "b-1", "port": "9098"})


async def client_gives_up(notes: Notes) -> None:
    raise DependencyError(Service.KAFKA, Reason.CONNECTION_TIMEOUT, evidence={"limit": "0.03"})


async def step_gives_up(notes: Notes) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(("run", "limit"), [(client_gives_up, "0.03"), (step_gives_up, "0.05")])
@pytest.mark.parametrize("service", [Service.KAFKA, Service.POSTGRESQL])
async def test_an_unanswered_login_is_no_closed_port(
    service: Service, run: Callable[[Notes], Awaitable[None]], limit: str
) -> None:
    """Whoever gives up first; nobody is told to open a port that is open."""
    failure = (await logged_in(run, service)).failure
    assert failure is not None
    assert (failure.rung, failure.reason) == (Rung.AUTHENTICATION, Reason.REQUEST_TIMEOUT)
    told = describe(service, failure)
    assert f"b-1:9098 accepts connections, but did not answer the login within {limit} s" in told.message
    assert "security-group-ingress" not in told.remedy


async def test_a_refused_login_keeps_its_reason() -> None:
    """And one that is accepted passes."""

    async def refused(notes: Notes) -> None:
        raise DependencyError(Service.KAFKA, Reason.CLUSTER_ACCESS_DENIED)

    async def accepted(notes: Notes) -> None:
        notes.add(region="eu-west-2")

    failure = (await logged_in(refused)).failure
    assert failure is not None
    assert failure.reason is Reason.CLUSTER_ACCESS_DENIED
    assert (await logged_in(accepted)).passed
