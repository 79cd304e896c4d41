"""The search for leaked secrets finds them in whatever form they are."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

import pytest

from connectivity_operator.redaction import Redactor
from tests.canaries import leaks

SECRET = "IQoJb3JpZ2luX2VjEA0a/CXVzLWVhc3QtMSJHMEUCIQ+Dx7zq=="
SECRETS = {"the session token": SECRET}
SIGNATURE = hashlib.sha256(b"x").hexdigest()


def forms_of_leaks(text: str) -> list[str]:
    return [leak.form for leak in leaks(SECRETS, [("somewhere", f"before {text} after")])]


def test_nothing_is_found_where_nothing_is() -> None:
    """Names of secrets, hidden values and ordinary texts are no leaks."""
    text = (
        "X-Amz-Signature=[hidden]&X-Amz-Security-Token=[hidden] Bearer [hidden] sk-... Credential signature matches; "
        'the SignatureDoesNotMatch answer names no {"Signature": "[hidden]"}; task-force-disk-usage'
    )
    assert leaks(SECRETS, [("somewhere", text)]) == []


def test_the_secret_itself() -> None:
    """As it is, in the middle of a line."""
    assert forms_of_leaks(SECRET) == ["plain"]


@pytest.mark.parametrize("times", [1, 2])
def test_in_a_url(times: int) -> None:
    """Encoded once, or once more inside another URL."""
    text = SECRET
    for _ in range(times):
        text = quote(text, safe="")
    assert forms_of_leaks(text)


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_inside_of_something_in_base64(before: int, encode: object) -> None:
    """Wherever in the encoded bytes it begins, and whatever follows."""
    assert callable(encode)
    for after in range(4):
        text = encode(b"u" * before + SECRET.encode() + b"x" * after).decode()
        assert any("base64" in form for form in forms_of_leaks(text)), (before, after)


def test_text_with_blanks() -> None:
    """A message is no single word."""
    found = leaks({"a message": "the parcel is on its way"}, [("log", '{"text": "load 7: the parcel is on its way"}')])
    assert [leak.form for leak in found] == ["plain"]


def test_in_hex() -> None:
    """As asyncpg and others show bytes."""
    assert forms_of_leaks(SECRET.encode().hex()) == ["hex"]


@pytest.mark.parametrize(
    "text",
    [
        f"https://kafka.eu-west-2.amazonaws.com/?X-Amz-Signature={SIGNATURE}",
        f"Authorization: AWS4-HMAC-SHA256 Credential=x, Signature={SIGNATURE}",
        f"host?Action=connect&X-Amz-Signature%3D{SIGNATURE}",
        "X-Amz-Security-Token=IQoJb3JpZ2lu",
        "password aHR0cHM6Ly9rYWZrYS5ldS13ZXN0LTIuYW1hem9u",
        "token eyJhbGciOiJSUzI1NiIsImtpZCI6.eyJhdWQiOlsic3RzLmFtYXpv.c2lnbmF0dXJl",
        "Incorrect API key provided: sk-abcdefgh1234",
    ],
)
def test_what_is_made_anew_for_every_request_is_known_by_its_shape(text: str) -> None:
    """Signatures and login tokens; and what the log hides is no leak any more."""
    assert [leak.form for leak in leaks({}, [("log", text)])] == ["by its shape"]
    assert leaks({}, [("log", Redactor()(text))]) == []


def test_a_leak_names_its_place_and_not_the_secret() -> None:
    """The report of a leak must not be another one."""
    [leak] = leaks(SECRETS, [("the log", f"key={SECRET}!")])
    assert "the log" in str(leak)
    assert "key=<HERE>!" in str(leak)
    assert SECRET not in str(leak)
