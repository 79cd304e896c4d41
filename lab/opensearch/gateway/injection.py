"""Answers that a test or a demo asks for: throttling, outages, slowness, broken connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from lab.injections import InForce, Limited
from lab.opensearch.gateway import answers, operations
from lab.opensearch.gateway.answers import Answer

NOT_SERVED = "not-served"
"""The name of an operation that Serverless does not have."""

ITEM_ERRORS = {
    HTTPStatus.PAYMENT_REQUIRED: {
        # Source: Sage-Bionetworks/Synapse-Repository-Services pull request 5689.
        "type": "service_quota_exceeded_exception",
        "reason": "maximum OCU capacity reached",
    },
    HTTPStatus.TOO_MANY_REQUESTS: {
        "type": "rejected_execution_exception",
        "reason": "rejected execution of coordinating operation",
    },
    HTTPStatus.SERVICE_UNAVAILABLE: {
        "type": "unavailable_shards_exception",
        "reason": "primary shard is not active",
    },
}


class Connection(StrEnum):
    """What becomes of the connection."""

    RESET = "reset"
    """Reset before the request is handled."""
    LOSE_ANSWER = "lose-answer"
    """Reset after the request was carried out: the client cannot know that it was."""


class InvalidInjectionError(ValueError):
    """The text says what is wrong."""


@dataclass(frozen=True)
class Injection(Limited):
    """What happens to the next requests."""

    status: int | None = None
    """Answer this status instead of handling the request."""
    items: int | None = None
    """With ``status``: refuse only so many items of each bulk request with it, from the first on; handle the others."""
    delay_seconds: float = 0
    """Wait before anything else."""
    connection: Connection | None = None
    operations: tuple[str, ...] = ()
    """Names of `operations.NAMES` that are meant; none: all."""
    page: str = ""
    """With ``status``: answer with a web page of this text, as something between client and collection does."""

    document: Mapping[str, Any] | None = None
    """With ``status``: answer with this JSON, as another API does."""

    def answer(self) -> Answer | None:
        """What to answer instead of handling the request, if anything."""
        if self.status is None or self.items is not None:
            return None
        if self.page:
            return answers.web_page(self.status, self.page)
        if self.document is not None:
            return Answer(self.status, self.document)
        match self.status:
            case HTTPStatus.UNAUTHORIZED:
                return answers.forbidden_by_network_policy()
            case HTTPStatus.FORBIDDEN:
                return answers.forbidden()
            case _:
                return answers.of_status(self.status)

    def item_error(self) -> Mapping[str, str]:
        """The error of a refused item."""
        default = {"type": "exception", "reason": f"injected status {self.status}"}
        return ITEM_ERRORS.get(HTTPStatus(self.status or 500), default)


NOTHING = Injection()


def parse(body: Mapping[str, Any]) -> Injection:
    """An injection from its JSON. Raises `InvalidInjectionError`."""
    try:
        injection = Injection(**body)
        connection = Connection(injection.connection) if injection.connection else None
        status = HTTPStatus(injection.status).value if injection.status is not None else None
        injection = replace(injection, operations=tuple(injection.operations), connection=connection, status=status)
    except (TypeError, ValueError) as error:
        raise InvalidInjectionError(str(error)) from error
    if unknown := set(injection.operations) - operations.NAMES - {NOT_SERVED}:
        raise InvalidInjectionError(f"unknown operations {sorted(unknown)}; known: {sorted(operations.NAMES)}")
    if injection.items is not None and injection.status is None:
        raise InvalidInjectionError("items needs a status")
    return injection


class Injections(InForce[Injection]):
    """Those in force, and what was counted."""

    def __init__(self, active: Iterable[Injection] = ()) -> None:
        super().__init__(active)
        self.answered: Counter[tuple[str, int]] = Counter()
        """(Operation, status) -> answers; status 0: the connection was reset."""

    def of(self, operation: str) -> Injection:
        """What happens to this request: the first injection that is meant for it."""
        return self.take(lambda one: not one.operations or operation in one.operations) or NOTHING
