"""No secret reaches a log line, whatever text it comes in."""

from __future__ import annotations

import pytest

from connectivity_operator.redaction import HIDDEN, Redactor

C = "c4nary5ecretVa1ue"


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: sk-proj-{C}.",
        f"Illegal header value b'Bearer sk-{C}\\n'",
        f"Authorization: Bearer {C}",
        f"{{'authorization': 'Basic {C}=='}}",
        f"https://x/?X-Amz-Security-Token={C}%2F%3D&X-Amz-Signature={C}",
        f"x-amz-security-token: {C}",
        f"AWS4-HMAC-SHA256 Credential=AKIA/20261124, SignedHeaders=host, Signature={C}",
        f"db.example:5432/?Action=connect&DBUser=app&X-Amz-Signature={C}",
        f"token eyJhbGciOiJSUzI1NiJ9.{C}.{C}",
        f"extensions auth=aHR0cHM6Ly9rYWZrYS5ldS13ZXN0{C}",
        f"postgresql://app:{C}@db.example/app",
        f"connect(host='x', password='{C}')",
        f"password={C}",
        f'{{"aws_session_token": "{C}"}}',
        f"{{'SecretAccessKey': '{C}', 'SessionToken': '{C}'}}",
        f"api_key={C}",
    ],
)
def test_secrets_are_recognised_by_their_shape(text: str) -> None:
    """Keys, tokens, signatures and passwords as libraries' texts contain them."""
    cleaned = Redactor()(text)
    assert C not in cleaned
    assert HIDDEN in cleaned


def test_known_secrets_are_hidden_whatever_they_look_like() -> None:
    """A password has no shape: its value is known from the settings."""
    assert Redactor(["correct horse battery"])("rejected: correct horse battery!") == f"rejected: {HIDDEN}!"


def test_a_known_secret_too_short_to_be_told_from_words_is_left_alone() -> None:
    """A password `a` would make every text unreadable."""
    assert Redactor(["a", ""])("a banana") == "a banana"


def test_the_name_in_front_of_a_secret_stays() -> None:
    """A reader sees what was hidden."""
    assert Redactor()(f"&X-Amz-Signature={C}&x=y") == f"&X-Amz-Signature={HIDDEN}&x=y"
    assert Redactor()(f"postgresql://app:{C}@db/x") == f"postgresql://app:{HIDDEN}@db/x"


@pytest.mark.parametrize(
    "text",
    [
        "POSTGRES_PASSWORD: has quotes around it; remove them",
        "Set OPENAI_API_KEY or OPENAI_API_KEY_FILE.",
        "ALTER ROLE app PASSWORD '<new password>';",
        "Allow kafka-cluster:ReadData on arn:aws:kafka:eu-west-2:111122223333:topic/demo/<cluster uuid>/orders",
        "topic task-sk was consumed from disk-3; the token expired: current date/time must be before",
        "https://b-1.demo:9098/path@x",
        'PAM authentication failed for user "app"',
    ],
)
def test_ordinary_texts_and_remedies_are_left_alone(text: str) -> None:
    """Remedies have to be pasted: what only mentions secrets is no secret."""
    assert Redactor()(text) == text
