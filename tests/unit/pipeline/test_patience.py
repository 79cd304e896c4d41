"""Trying again: how long, by whom, and what is shown meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from connectivity_operator.errors import DependencyError
from connectivity_operator.pipeline.journal import Journal
from connectivity_operator.pipeline.patience import FIRST_DELAY, LONGEST_DELAY, Patience, Troubles, backoff
from connectivity_operator.reasons import Reason, Service
from tests.fakes.pipeline import WORK, down

OPENAI = Service.OPENAI
UNAVAILABLE = down(OPENAI, Reason.SERVICE_UNAVAILABLE)


class Api:
    """Works or not; counts."""

    def __init__(self, *errors: DependencyError, standing: DependencyError | None = None) -> None:
        self.errors, self.standing = list(errors), standing
        self.calls: list[float] = []
        self.in_flight = self.most_in_flight = 0

    async def __call__(self) -> str:
        self.calls.append(now())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0.1)
        self.in_flight -= 1
        if self.errors:
            raise self.errors.pop(0)
        if self.standing:
            raise self.standing
        return "done"


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
def troubles() -> Troubles:
    return Troubles(Journal(WORK), lambda: None)


@pytest.fixture
def patience(troubles: Troubles) -> Patience:
    return Patience(OPENAI, "embed", troubles)


def test_delays_are_drawn_from_a_range_that_doubles_up_to_ten_seconds() -> None:
    """Full jitter: a thousand pipelines that failed together do not come back together."""
    for failures, longest in [(0, FIRST_DELAY), (1, 1.0), (2, 2.0), (5, LONGEST_DELAY), (500, LONGEST_DELAY)]:
        drawn = [backoff(failures) for _ in range(500)]
        assert max(drawn) <= longest
        assert min(drawn) < 0.1 * longest
        assert max(drawn) > 0.9 * longest


def test_what_the_server_asks_for_is_the_least_delay() -> None:
    """Retry-After is honoured, within reason."""
    assert backoff(0, 20.0) == 20.0
    assert backoff(9, 0.0) <= LONGEST_DELAY
    assert backoff(0, 86_400.0) == 300.0


async def test_it_tries_until_it_works(patience: Patience, troubles: Troubles) -> None:
    """And shows the trouble, with its beginning and its number of tries, as long as it lasts."""
    api = Api(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE)
    task = asyncio.create_task(patience.insist(api))
    await asyncio.sleep(0.15)
    assert troubles.by_service[OPENAI].error is UNAVAILABLE
    assert troubles.by_service[OPENAI].since == pytest.approx(0.1)
    assert await task == "done"
    assert len(api.calls) == 4
    assert troubles.by_service == {}


async def test_it_waits_as_long_as_it_is_told(patience: Patience) -> None:
    """A rate limit says when to come back."""
    api = Api(down(OPENAI, Reason.RATE_LIMITED, retry_after=30.0))
    await patience.insist(api)
    assert api.calls[1] - api.calls[0] >= 30.0


async def test_one_failure_holds_up_nobody_else(patience: Patience, troubles: Troubles) -> None:
    """A throttled item among many, or one lost connection, is its own batch's business."""
    slow, quick = Api(down(OPENAI, Reason.RATE_LIMITED, retry_after=60.0)), Api()
    first = asyncio.create_task(patience.insist(slow))
    await asyncio.sleep(1)
    assert not troubles.down(OPENAI)
    assert await patience.insist(quick) == "done"
    assert now() < 2
    await first


async def test_one_tries_for_all_while_it_is_down(patience: Patience, troubles: Troubles) -> None:
    """Eight batches waiting for a dead API make one request at a time, and all go on as soon as it works."""
    api = Api(standing=UNAVAILABLE)
    tasks = [asyncio.create_task(patience.insist(api)) for _ in range(8)]
    await asyncio.sleep(10)
    assert troubles.down(OPENAI)
    api.most_in_flight = 0
    tried = len(api.calls)
    await asyncio.sleep(60)
    assert api.most_in_flight == 1
    assert len(api.calls) - tried <= 60
    api.standing = None
    began = now()
    assert await asyncio.gather(*tasks) == ["done"] * 8
    assert now() - began <= LONGEST_DELAY + 8 * 0.1 + 0.2


async def test_something_small_is_tried_first_while_it_is_down(patience: Patience, troubles: Troubles) -> None:
    """Nobody pays for whole batches again and again to find out that nothing has changed."""
    batch, small = Api(standing=UNAVAILABLE), Api(standing=UNAVAILABLE)
    task = asyncio.create_task(patience.insist(batch, known_good=small))
    await asyncio.sleep(60)
    assert len(batch.calls) == 2
    assert len(small.calls) > 3
    small.standing = None
    await asyncio.sleep(60)
    assert len(batch.calls) > 2
    assert troubles.by_service[OPENAI].since < 1, "the trouble lasts until the batch itself goes through"
    batch.standing = None
    assert await task == "done"


async def test_what_nobody_wants_any_more_is_not_tried(patience: Patience, troubles: Troubles) -> None:
    """Its partition was taken away; and a trouble that nobody meets any more is forgotten, else it stayed for ever."""
    api = Api(standing=UNAVAILABLE)
    wanted = [True]
    task = asyncio.create_task(patience.insist(api, wanted=lambda: bool(wanted)))
    await asyncio.sleep(30)
    wanted.clear()
    assert await task is None
    assert troubles.by_service == {}
    assert not troubles.down(OPENAI)


async def test_other_errors_are_not_ours_to_repeat(patience: Patience) -> None:
    """A fault of the program ends the attempt."""

    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await patience.insist(broken)


async def test_the_oldest_trouble_of_a_service_is_shown(troubles: Troubles) -> None:
    """Two things may fail at once; the first is more likely the cause."""
    first, second = down(Service.KAFKA, Reason.READ_DATA_DENIED), down(Service.KAFKA, Reason.COORDINATOR_UNAVAILABLE)
    troubles.failed(Service.KAFKA, "fetch", first, 1.0)
    await asyncio.sleep(1)
    troubles.failed(Service.KAFKA, "commit", second, 1.0)
    troubles.failed(Service.KAFKA, "fetch", first, 1.0)
    assert troubles.by_service[Service.KAFKA].error is first
    assert troubles.by_service[Service.KAFKA].tries == 2
    troubles.worked(Service.KAFKA, "fetch")
    assert troubles.by_service[Service.KAFKA].error is second
