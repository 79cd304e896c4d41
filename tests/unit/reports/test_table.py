"""The table: readable at 80 columns, without colour and without UTF-8; what is to be pasted stays whole."""

from __future__ import annotations

from functools import partial
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console

from connectivity_operator.diagnosis.catalogue import describe
from connectivity_operator.reasons import Reason, Rung, Service
from connectivity_operator.reports import Report, report, table
from tests.fakes.reports import (
    IAM_NOT_GRANTED,
    READ_DATA_DENIED,
    REPORTS,
    ROLE,
    STARTED,
    TOPIC_ARN,
    failed,
    made,
    passed,
)


def shown(report: Report, *, width: int = 80, colours: bool = False) -> str:
    return table.render(report, Console(file=StringIO(), width=width, force_terminal=colours, highlight=False))


def lines_of(report: Report) -> list[str]:
    return shown(report).splitlines()


@pytest.mark.parametrize("name", REPORTS)
def test_lines_fit_into_80_columns_but_for_what_must_stay_whole(name: str) -> None:
    """A longer line is one word, such as an ARN, or a command: both are there to be copied."""
    too_long = [line for line in lines_of(REPORTS[name]) if len(line) > 80]
    whole = ("arn:", "as arn:", "aws ")
    assert [line for line in too_long if not line.strip().startswith(whole)] == []


def test_arns_are_never_broken() -> None:
    """Principal and resource of a remedy each stand whole on one line."""
    lines = lines_of(made(READ_DATA_DENIED))
    assert any(TOPIC_ARN in line for line in lines)
    assert any(ROLE in line for line in lines)


def test_a_statement_stands_on_a_line_of_its_own() -> None:
    """It can be copied by a triple click."""
    assert "        GRANT rds_iam TO app;" in lines_of(made(IAM_NOT_GRANTED))


def test_a_policy_is_json_on_lines_of_its_own() -> None:
    """The pasted block is JSON again, whatever the width."""
    trust = failed(
        Service.KAFKA,
        Reason.TRUST_POLICY_MISMATCH,
        Rung.IDENTITY,
        {"role_arn": ROLE, "account": "111122223333", "issuer_host": "oidc.example", "subject": "s" * 90},
    )
    lines = lines_of(made(trust))
    assert "        {" in lines
    assert f'              "oidc.example:sub": "{"s" * 90}",' in lines


def test_cause_and_remedy_stand_under_the_rung_that_failed() -> None:
    """Not at the end, where nobody finds what they belong to."""
    lines = lines_of(made(READ_DATA_DENIED))
    at = next(n for n, line in enumerate(lines) if line.startswith("  ✗ authorization"))
    assert lines[at + 1].startswith("      ReadDataDenied: The broker")
    assert any(line.startswith("  – operation") for line in lines[at:])


def test_the_end_says_where_to_read_on_once_a_code() -> None:
    """With RUNBOOKS_URL there is a link under each failure instead."""
    expired = failed(Service.OPENAI, Reason.CERTIFICATE_EXPIRED, Rung.TLS)
    nobody = [failed(s, Reason.NO_CREDENTIALS, Rung.IDENTITY) for s in (Service.OPENSEARCH, Service.POSTGRESQL)]
    lines = lines_of(made(READ_DATA_DENIED, expired, *nobody))
    assert [line for line in lines if "explain" in line] == [
        "  connectivity-operator explain kafka ReadDataDenied",
        "  connectivity-operator explain openai CertificateExpired",
        "  connectivity-operator explain identity NoCredentials",
    ]
    linked = report(
        [READ_DATA_DENIED],
        partial(describe, runbooks_url="https://runbooks.example"),
        version="1",
        started=STARTED,
        seconds=1.0,
    )
    assert not [line for line in lines_of(linked) if "explain" in line]


def test_marks_and_words_say_it_without_colour() -> None:
    """Where there is no terminal there is no escape sequence; where there is one, the words are the same."""
    report = REPORTS["failures and a warning"]
    plain, coloured = shown(report), shown(report, colours=True)
    assert "\x1b" not in plain
    assert "\x1b[" in coloured
    assert {"✓", "✗", "!", "–"} <= set(plain)


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """https://no-color.org, also on a terminal."""
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=StringIO(), width=80, force_terminal=True, highlight=False)
    assert "\x1b[3" not in table.render(REPORTS["failures and a warning"], console)


@pytest.mark.parametrize("name", REPORTS)
def test_a_stream_without_utf_8_gets_ascii(name: str) -> None:
    """Nothing that it cannot encode, and the marks still tell results apart."""
    stream = TextIOWrapper(BytesIO(), encoding="iso-8859-1")
    text = table.render(REPORTS[name], Console(file=stream, width=80, highlight=False))
    assert text.isascii()
    if name == "failures and a warning":
        assert all(f"  {mark} " in text for mark in ("ok", "XX", "!!", "--"))


def test_a_ladder_that_ends_early_says_what_to_give() -> None:
    """The first rung that was not climbed says why."""
    assert any(line.endswith("not climbed: give --topic") for line in lines_of(REPORTS["nothing asked"]))
    assert lines_of(REPORTS["nothing asked"])[-1] == "Every climbed rung passed, in 0.5 s."


def test_what_is_wrong_with_the_shared_identity_is_said_once() -> None:
    """Three services share it; the second names the first."""
    climbs = [failed(s, Reason.NO_CREDENTIALS, Rung.IDENTITY) for s in (Service.KAFKA, Service.OPENSEARCH)]
    text = shown(made(*climbs))
    assert text.count("Fix:") == 1
    assert "NoCredentials: the same as for Kafka above." in text


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("all passed", "Every rung passed, in 0.5 s."),
        ("failures and a warning", "2 of 4 failed: Kafka, PostgreSQL, 1 warning, in 0.5 s."),
        ("interrupted", "Interrupted before the end of Kafka, in 0.5 s."),
    ],
)
def test_the_last_line_is_the_verdict(name: str, last: str) -> None:
    """A log's last line is what people read first."""
    assert lines_of(REPORTS[name])[-1] == last


def test_what_a_server_sent_cannot_steer_the_terminal() -> None:
    """An escape sequence in evidence is shown as replaced characters."""
    hostile = failed(Service.OPENAI, Reason.MODEL_NOT_FOUND, Rung.AUTHORIZATION, {"model": "m\x1b[2Jx", "host": "h"})
    assert "\x1b" not in shown(made(hostile, passed(Service.KAFKA)))
