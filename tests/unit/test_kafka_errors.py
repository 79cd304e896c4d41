"""Kafka's codes and aiokafka's exceptions become reasons, and nothing of their texts gets through."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiokafka.errors import (
    CommitFailedError,
    CorruptRecordException,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    NotLeaderForPartitionError,
    SaslAuthenticationFailed,
    UnsupportedCodecError,
    UnsupportedSaslMechanismError,
)

from connectivity_operator.adapters.kafka.errors import Asked, reason_of, refusal, translate
from connectivity_operator.diagnosis.catalogue import CATALOGUE
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Service

DENIED = "[0d9c8b7a-6f5e-4d3c-2b1a-998877665544]: "


def caused_by(cause: BaseException) -> KafkaConnectionError:
    """As aiokafka closes a connection: with the cause behind it."""
    error = KafkaConnectionError("Connection at b-1:9098 closed")
    error.__cause__ = cause
    return error


# ── codes ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("asked", Asked)
def test_every_code_has_a_reason_with_words(asked: Asked) -> None:
    """Whatever a broker answers, now or in a later version, a person can be told what it means."""
    codes = [code for code in range(-1, 140) if code != 0]
    assert {(Service.KAFKA, reason_of(code, asked)) for code in codes} <= set(CATALOGUE)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Asked.METADATA, Reason.DESCRIBE_TOPIC_DENIED),
        (Asked.LIST_OFFSETS, Reason.DESCRIBE_TOPIC_DENIED),
        (Asked.OFFSET_FETCH, Reason.DESCRIBE_TOPIC_DENIED),
        (Asked.FETCH, Reason.READ_DATA_DENIED),
        (Asked.OFFSET_COMMIT, Reason.READ_DATA_DENIED),
        (Asked.PRODUCE, Reason.WRITE_DATA_DENIED),
    ],
)
def test_a_topics_denial_means_what_the_request_needs(asked: Asked, reason: Reason) -> None:
    """Code 29 alone does not say which permission is missing."""
    assert reason_of(29, asked) is reason


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Asked.FIND_COORDINATOR, Reason.DESCRIBE_GROUP_DENIED),
        (Asked.OFFSET_FETCH, Reason.DESCRIBE_GROUP_DENIED),
        (Asked.JOIN_GROUP, Reason.ALTER_GROUP_DENIED),
        (Asked.OFFSET_COMMIT, Reason.ALTER_GROUP_DENIED),
    ],
)
def test_a_groups_denial_means_what_the_request_needs(asked: Asked, reason: Reason) -> None:
    """Code 30 alone does not say which permission is missing."""
    assert reason_of(30, asked) is reason


def test_an_unexpected_code_is_named() -> None:
    """What has no entry of its own can still be looked up."""
    error = refusal(42, Asked.FETCH, topic="orders")
    assert error.reason is Reason.SERVICE_UNAVAILABLE
    assert error.evidence == {"topic": "orders", "detail": "Fetch: error 42, INVALID_REQUEST"}


# ── exceptions ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SaslAuthenticationFailed(DENIED + "Access denied"), Reason.CLUSTER_ACCESS_DENIED),
        (SaslAuthenticationFailed(DENIED + "Session too short"), Reason.CREDENTIALS_TOO_SHORT),
        (SaslAuthenticationFailed(DENIED + "Too many connects"), Reason.CONNECTION_RATE_EXCEEDED),
        (UnsupportedSaslMechanismError("OAUTHBEARER"), Reason.WRONG_LISTENER),
        (IllegalSaslStateError("9094"), Reason.WRONG_LISTENER),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), Reason.NAME_NOT_RESOLVED),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), Reason.RESOLVER_UNAVAILABLE),
        (UnicodeError("label too long"), Reason.NAME_NOT_RESOLVED),
        (ConnectionRefusedError(111, "Connect call failed"), Reason.CONNECTION_REFUSED),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] …"), Reason.CONNECTION_REFUSED),
        (OSError(113, "No route to host"), Reason.NETWORK_UNREACHABLE),
        (TimeoutError(), Reason.CONNECTION_TIMEOUT),
        (caused_by(ConnectionResetError(104, "reset")), Reason.CONNECTION_RESET),
        (caused_by(asyncio.IncompleteReadError(b"", 4)), Reason.CONNECTION_RESET),
        (caused_by(asyncio.IncompleteReadError(b"\x02\x46", 0x15030300)), Reason.WRONG_LISTENER),
        (caused_by(asyncio.IncompleteReadError(b"/1.1 400", 0x48545450)), Reason.UNEXPECTED_ANSWER),
        (KafkaConnectionError("No connection to broker"), Reason.CONNECTION_RESET),
        (NodeNotReadyError("2"), Reason.BROKER_UNREACHABLE),
        (NotLeaderForPartitionError(), Reason.LEADER_UNAVAILABLE),
        (CommitFailedError("rebalanced"), Reason.COORDINATOR_UNAVAILABLE),
        (UnsupportedCodecError("Libraries for zstd compression codec not found"), Reason.UNSUPPORTED_COMPRESSION),
        (CorruptRecordException("Invalid CRC"), Reason.SERVICE_UNAVAILABLE),
        (KafkaError("something new"), Reason.SERVICE_UNAVAILABLE),
    ],
    ids=lambda value: value if isinstance(value, Reason) else type(value).__name__,
)
def test_an_exception_has_the_reason_of_its_cause(error: Exception, reason: Reason) -> None:
    """aiokafka wraps, closes and hides; what lies at the bottom decides."""
    assert translate(error, Asked.LOGIN, host="b-1").reason is reason


def test_a_time_out_is_of_the_connection_or_of_the_request() -> None:
    """A silent port and a silent broker are healed by different people."""
    assert translate(TimeoutError(), Asked.LOGIN).reason is Reason.CONNECTION_TIMEOUT
    assert translate(TimeoutError(), Asked.FETCH).reason is Reason.REQUEST_TIMEOUT


def test_a_token_that_could_not_be_made_is_the_identitys_failure() -> None:
    """The token provider's error travels through aiokafka and comes out as it went in."""
    ours = DependencyError(Service.IDENTITY, Reason.WEB_IDENTITY_TOKEN_EXPIRED, evidence={"path": "token"})
    wrapped = KafkaError("no token")
    wrapped.__cause__ = ours
    assert translate(wrapped, Asked.LOGIN) is ours


def test_no_text_of_others_gets_through() -> None:
    """Library texts may hold tokens; evidence is ours alone. The id of a refusal is AWS's to look up."""
    error = translate(SaslAuthenticationFailed(DENIED + "Access denied X-Amz-Security-Token=s3cret"), Asked.LOGIN)
    assert error.evidence == {"request_id": "0d9c8b7a-6f5e-4d3c-2b1a-998877665544"}
    assert "s3cret" not in "".join(translate(KafkaError("s3cret"), Asked.FETCH).evidence.values())


def test_the_codec_is_named() -> None:
    """Only then can its producer be told what to change."""
    error = translate(UnsupportedCodecError("Libraries for zstd compression codec not found"), Asked.FETCH)
    assert error.evidence["codec"] == "zstd"
