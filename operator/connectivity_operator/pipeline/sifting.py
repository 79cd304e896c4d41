"""Which messages of a refused request are to blame, found in a bounded number of calls.

A refusal alone proves nothing: a misconfigured dependency refuses everything and blames the content. So a
message is condemned only after something known to be good was accepted by the same dependency, after that
message was refused. If the known-good one fails as well, the dependency is at fault and nobody is condemned.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.pipeline.work import Message

BISECTION_CALLS = 32
"""Calls spent on halving: enough for two bad messages in 256. What is left then goes one by one, so that
sifting n messages never takes more than 32 + n calls and two of the known-good one."""

Attempt = Callable[[Sequence[Message]], Awaitable[None]]
"""Sends some messages and notes the results in them; raises `ContentRefused` or another `DependencyError`."""
KnownGood = Callable[[], Awaitable[None]]


class Refused(NamedTuple):
    """A message that is to blame, and how the dependency put it."""

    message: Message
    refusal: ContentRefused


async def sift(
    messages: Sequence[Message], refusal: ContentRefused, attempt: Attempt, known_good: KnownGood
) -> list[Refused]:
    """Split ``messages``, refused together with ``refusal``, into accepted ones and those returned.

    Raises `DependencyError` when the dependency is at fault; what was accepted until then stays noted.
    """
    if len(messages) > 1:
        await proven(known_good)
    found: list[Refused] = []
    groups = [(messages, refusal)]
    calls = 0
    while groups:
        group, refused = groups.pop()
        if len(group) == 1:
            found.append(Refused(group[0], refused))
            continue
        for part in _parts(group, halve=calls < BISECTION_CALLS):
            calls += 1
            try:
                await attempt(part)
            except ContentRefused as error:
                groups.append((part, error))
    if found:
        await proven(known_good)
    return found


async def proven(known_good: KnownGood) -> None:
    """The known-good one is accepted. A refusal of it is no matter of content, so it is raised as a plain error."""
    try:
        await known_good()
    except ContentRefused as error:
        raise DependencyError(
            error.service, error.reason, evidence=error.evidence, rung=error.rung, retry_after=error.retry_after
        ) from error


def _parts(group: Sequence[Message], *, halve: bool) -> list[Sequence[Message]]:
    if not halve:
        return [[message] for message in group]
    middle = len(group) // 2
    return [group[:middle], group[middle:]]
