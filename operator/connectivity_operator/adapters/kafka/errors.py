"""What aiokafka and the brokers say, in our words.

A broker's error code means something only together with the request that it answers: 29 is `DescribeTopicDenied`
after Metadata, `ReadDataDenied` after Fetch. The codes are those of
https://kafka.apache.org/protocol#protocol_error_codes, the permissions behind them those of
https://docs.aws.amazon.com/msk/latest/developerguide/iam-access-control.html.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from enum import StrEnum

from aiokafka.errors import (
    BrokerResponseError,
    CommitFailedError,
    CorruptRecordException,
    IllegalStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
    NodeNotReadyError,
    StaleMetadata,
    UnsupportedCodecError,
    for_code,
)

from connectivity_operator.adapters.connection_errors import network_reason
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Service


class Asked(StrEnum):
    """The request that failed."""

    LOGIN = "Login"
    METADATA = "Metadata"
    LIST_OFFSETS = "ListOffsets"
    FETCH = "Fetch"
    PRODUCE = "Produce"
    FIND_COORDINATOR = "FindCoordinator"
    JOIN_GROUP = "JoinGroup"
    OFFSET_FETCH = "OffsetFetch"
    OFFSET_COMMIT = "OffsetCommit"


OFFSET_OUT_OF_RANGE = 1
GROUP_LOADING = 14
COORDINATOR_MOVED = frozenset({15, 16})
TOPIC_AUTHORIZATION_FAILED = 29
GROUP_AUTHORIZATION_FAILED = 30
SASL_AUTHENTICATION_FAILED = 58
MEMBER_ID_REQUIRED = 79

_TOPIC_DENIED = {
    Asked.FETCH: Reason.READ_DATA_DENIED,
    Asked.OFFSET_COMMIT: Reason.READ_DATA_DENIED,
    Asked.PRODUCE: Reason.WRITE_DATA_DENIED,
}
"""Every other request needs no more of a topic than DescribeTopic."""

_GROUP_DENIED = {
    Asked.FIND_COORDINATOR: Reason.DESCRIBE_GROUP_DENIED,
    Asked.OFFSET_FETCH: Reason.DESCRIBE_GROUP_DENIED,
}
"""Every other request needs AlterGroup."""

_REASONS = {
    3: Reason.TOPIC_NOT_FOUND,
    5: Reason.LEADER_UNAVAILABLE,
    6: Reason.LEADER_UNAVAILABLE,
    7: Reason.REQUEST_TIMEOUT,
    8: Reason.LEADER_UNAVAILABLE,
    9: Reason.LEADER_UNAVAILABLE,
    10: Reason.TOO_LARGE,
    14: Reason.COORDINATOR_UNAVAILABLE,
    15: Reason.COORDINATOR_UNAVAILABLE,
    16: Reason.COORDINATOR_UNAVAILABLE,
    17: Reason.TOPIC_NOT_FOUND,  # a name that no topic can have
    18: Reason.TOO_LARGE,
    19: Reason.LEADER_UNAVAILABLE,  # too few replicas in sync
    20: Reason.LEADER_UNAVAILABLE,
    22: Reason.COORDINATOR_UNAVAILABLE,  # 22, 25, 27: the group has moved on without us
    25: Reason.COORDINATOR_UNAVAILABLE,
    27: Reason.COORDINATOR_UNAVAILABLE,
    31: Reason.CLUSTER_ACCESS_DENIED,
    33: Reason.WRONG_LISTENER,  # SASL, but not OAUTHBEARER: MSK's port 9096
    34: Reason.WRONG_LISTENER,  # no SASL here: MSK's port 9094
    56: Reason.LEADER_UNAVAILABLE,  # the leader's disk
    72: Reason.LEADER_UNAVAILABLE,  # the leader has no listener like the one we asked
    74: Reason.LEADER_UNAVAILABLE,
    75: Reason.LEADER_UNAVAILABLE,
    76: Reason.UNSUPPORTED_COMPRESSION,
    78: Reason.LEADER_UNAVAILABLE,
    100: Reason.TOPIC_NOT_FOUND,
}
"""Codes that mean the same after every request."""

_LOGIN_TEXTS = (
    # The texts are MSK's; ahead of them stands the id of the refusal in brackets.
    ("Session too short", Reason.CREDENTIALS_TOO_SHORT),
    ("Too many connects", Reason.CONNECTION_RATE_EXCEEDED),
)
_REFUSAL_ID = re.compile(r"\[([0-9a-f-]{36})\]")

_KINDS: tuple[tuple[type[BaseException], Reason, str | None], ...] = (
    (CorruptRecordException, Reason.SERVICE_UNAVAILABLE, "a record batch has a wrong checksum"),
    (CommitFailedError, Reason.COORDINATOR_UNAVAILABLE, "the group has been rebalanced meanwhile"),
    (IllegalStateError, Reason.COORDINATOR_UNAVAILABLE, "the partition is no longer ours"),
    (NodeNotReadyError, Reason.BROKER_UNREACHABLE, None),
    (StaleMetadata, Reason.BROKER_UNREACHABLE, None),
)
"""Exceptions of aiokafka's own that mean one thing."""

_ERRNO_TEXT = re.compile(r"\[Errno (\d+)\]")

_TLS_ALERT = 0x150303
"""A TLS record of the type "alert", where a Kafka client expects the length of an answer."""
_HTTP = int.from_bytes(b"HTTP")


def reason_of(code: int, asked: Asked) -> Reason:
    """The reason behind a broker's error code; `ServiceUnavailable` for one that says nothing of ours is wrong."""
    if code == TOPIC_AUTHORIZATION_FAILED:
        return _TOPIC_DENIED.get(asked, Reason.DESCRIBE_TOPIC_DENIED)
    if code == GROUP_AUTHORIZATION_FAILED:
        return _GROUP_DENIED.get(asked, Reason.ALTER_GROUP_DENIED)
    return _REASONS.get(code, Reason.SERVICE_UNAVAILABLE)


def refusal(code: int, asked: Asked, **evidence: str) -> DependencyError:
    """The error for a broker's code other than 0."""
    evidence = {"detail": f"{asked}: error {code}, {_name(code)}", **evidence}
    return DependencyError(Service.KAFKA, reason_of(code, asked), evidence=evidence)


def translate(error: BaseException, asked: Asked, **evidence: str) -> DependencyError:
    """Any exception of aiokafka, asyncio or the sockets below it, as ours. Never quotes the foreign text."""
    for link in _chain(error):
        if isinstance(link, DependencyError):  # raised by our own token provider, wrapped by `access.Token`
            return link
    for link in _chain(error):
        if found := _specific(link, asked, evidence):
            return found
    if isinstance(error, KafkaConnectionError):
        return _error(Reason.CONNECTION_RESET, evidence)
    return _error(Reason.SERVICE_UNAVAILABLE, evidence, detail=f"{asked}: {type(error).__name__}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it: aiokafka says "connection closed" and keeps the cause behind it."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _specific(error: BaseException, asked: Asked, evidence: dict[str, str]) -> DependencyError | None:
    if isinstance(error, BrokerResponseError) and not isinstance(error, CorruptRecordException):
        refused = error.errno == SASL_AUTHENTICATION_FAILED
        return _login_refused(str(error), evidence) if refused else refusal(error.errno, asked, **evidence)
    if isinstance(error, UnsupportedCodecError):
        return _error(Reason.UNSUPPORTED_COMPRESSION, evidence, codec=_codec(str(error)))
    for kind, reason, detail in _KINDS:
        if isinstance(error, kind):
            return _error(reason, evidence, **({"detail": detail} if detail else {}))
    reason_below = _below_kafka(error, asked)
    return _error(reason_below, evidence) if reason_below else None


def _below_kafka(error: BaseException, asked: Asked) -> Reason | None:
    match error:
        case asyncio.IncompleteReadError():
            return _unread(error)
        case TimeoutError() | KafkaTimeoutError():
            return Reason.CONNECTION_TIMEOUT if asked is Asked.LOGIN else Reason.REQUEST_TIMEOUT
        case UnicodeError():  # no host name can be so: asyncio gives it to the IDNA codec
            return Reason.NAME_NOT_RESOLVED
        case OSError():
            return _network_reason(error)
    return None


def _network_reason(error: OSError) -> Reason:
    if error.errno is None and (found := _ERRNO_TEXT.search(str(error))):
        # asyncio: "Multiple exceptions: [Errno 111] …, [Errno 111] …" for a name with several addresses.
        error = OSError(int(found.group(1)), "")
    reason = network_reason(error)
    return Reason.CONNECTION_RESET if reason is Reason.SERVICE_UNAVAILABLE else reason


def _login_refused(text: str, evidence: dict[str, str]) -> DependencyError:
    reason = next((reason for words, reason in _LOGIN_TEXTS if words in text), Reason.CLUSTER_ACCESS_DENIED)
    found = _REFUSAL_ID.search(text)
    return _error(reason, evidence, **({"request_id": found.group(1)} if found else {}))


def _unread(error: asyncio.IncompleteReadError) -> Reason:
    """The peer closed while we read an answer; the length it claimed tells what it speaks instead of Kafka."""
    if error.expected is not None and error.expected >> 8 == _TLS_ALERT:
        return Reason.WRONG_LISTENER
    return Reason.UNEXPECTED_ANSWER if error.expected == _HTTP else Reason.CONNECTION_RESET


def _codec(text: str) -> str:
    return next((name for name in ("gzip", "snappy", "lz4", "zstd") if name in text), "unknown")


def _name(code: int) -> str:
    return str(getattr(for_code(code), "message", "UNKNOWN"))


def _error(reason: Reason, evidence: dict[str, str], **more: str) -> DependencyError:
    return DependencyError(Service.KAFKA, reason, evidence={**evidence, **more})
