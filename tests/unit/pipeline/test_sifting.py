"""Who is to blame for a refused request, in a bounded number of calls, and never without proof."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.pipeline.sifting import BISECTION_CALLS, sift
from connectivity_operator.pipeline.watermark import Watermark
from connectivity_operator.pipeline.work import Message
from connectivity_operator.ports import Record
from connectivity_operator.reasons import Reason, Service

REFUSAL = ContentRefused(Service.OPENAI, Reason.INPUT_REJECTED)


class Server:
    """Refuses requests with a bad message in them; counts."""

    def __init__(self, count: int, *bad: int) -> None:
        mark = Watermark(0, committed=None)
        self.messages = [Message(Record("t", 0, n, 0, b""), mark, str(n), 0.0, 0, "", 0) for n in range(count)]
        self.bad = {self.messages[n] for n in bad}
        self.calls = self.probes = 0
        self.accepted: list[Message] = []
        self.probe_failures: list[DependencyError] = []

    async def attempt(self, part: Sequence[Message]) -> None:
        self.calls += 1
        if self.bad & set(part):
            raise REFUSAL
        self.accepted += part

    async def known_good(self) -> None:
        self.probes += 1
        if self.probe_failures:
            raise self.probe_failures.pop(0)

    async def sift(self) -> list[int]:
        found = await sift(self.messages, REFUSAL, self.attempt, self.known_good)
        return sorted(refused.message.record.offset for refused in found)


@pytest.mark.parametrize("place", [0, 100, 255])
async def test_one_bad_message_in_a_full_batch_costs_sixteen_calls(place: int) -> None:
    """Two for each halving; everything else is accepted on the way, once."""
    server = Server(256, place)
    assert await server.sift() == [place]
    assert server.calls == 16
    assert len(server.accepted) == len(set(server.accepted)) == 255


async def test_a_message_alone_is_not_sent_again() -> None:
    """It was refused already; the known-good one decides."""
    server = Server(1, 0)
    assert await server.sift() == [0]
    assert (server.calls, server.probes) == (0, 1)


@pytest.mark.parametrize("bad", [2, 5, 64, 256])
async def test_many_bad_messages_cost_a_bounded_number_of_calls(bad: int) -> None:
    """No more than the halvings allowed and one call for each message."""
    server = Server(256, *range(0, 256, 256 // bad))
    assert await server.sift() == list(range(0, 256, 256 // bad))
    assert server.calls <= BISECTION_CALLS + 256 + 1
    assert server.probes == 2


async def test_nobody_is_condemned_when_the_known_good_one_is_refused_too() -> None:
    """A dependency that refuses everything blames the content; it is no matter of content then."""
    server = Server(8, 3)
    server.probe_failures = [ContentRefused(Service.OPENAI, Reason.INPUT_REJECTED, evidence={"model": "m"})]
    with pytest.raises(DependencyError) as error:
        await server.sift()
    assert not isinstance(error.value, ContentRefused)
    assert (error.value.reason, error.value.evidence) == (Reason.INPUT_REJECTED, {"model": "m"})
    assert server.calls == 0


async def test_the_known_good_one_must_be_accepted_after_the_refusals() -> None:
    """A dependency that went wrong between the first proof and the refusals has refused good messages."""
    server = Server(8, 3)
    failure = DependencyError(Service.OPENAI, Reason.SERVICE_UNAVAILABLE)

    async def then_fails() -> None:
        server.probes += 1
        if server.probes == 2:
            raise failure

    server.known_good = then_fails  # type: ignore[method-assign]
    with pytest.raises(DependencyError) as error:
        await server.sift()
    assert error.value is failure


async def test_a_dependency_that_fails_on_the_way_ends_the_search() -> None:
    """What was accepted until then stays accepted."""
    server = Server(8, 7)
    attempt, failure = server.attempt, DependencyError(Service.OPENAI, Reason.RATE_LIMITED)

    async def limited(part: Sequence[Message]) -> None:
        if server.calls == 2:
            raise failure
        await attempt(part)

    server.attempt = limited  # type: ignore[method-assign]
    with pytest.raises(DependencyError) as error:
        await server.sift()
    assert error.value is failure
    assert [m.record.offset for m in server.accepted] == [0, 1, 2, 3]
