"""The API key is looked at before it is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectivity_operator.adapters.embeddings import ApiKey
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason

SECRET = "sk-proj-abc"


def refused(key: ApiKey) -> DependencyError:
    with pytest.raises(DependencyError) as caught:
        key()
    return caught.value


def test_a_sound_key_is_given_as_it_is() -> None:
    """Nothing is added or removed."""
    assert ApiKey(value=SECRET)() == SECRET


@pytest.mark.parametrize(
    "malformed",
    [
        f"{SECRET}\n",
        f"{SECRET}\r\n",
        f" {SECRET}",
        f"{SECRET} ",
        f'"{SECRET}"',
        "sk proj",
        "sk-\nproj",
        "sk-é",
        "sk\x00",
    ],
)
def test_a_key_that_no_header_can_carry_is_never_sent(malformed: str) -> None:
    """The line break of `kubectl create secret --from-file` is the classic; a text about it does not show the key."""
    error = refused(ApiKey(value=malformed))
    assert error.reason is Reason.API_KEY_MALFORMED
    assert error.evidence["variable"] == "OPENAI_API_KEY"
    assert malformed.strip() not in error.evidence["detail"]


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_key_is_a_missing_one(empty: str) -> None:
    """A Secret that an ExternalSecret has not filled yet."""
    assert refused(ApiKey(value=empty)).reason is Reason.API_KEY_MISSING


def test_without_variables_the_dependency_is_not_configured() -> None:
    """Neither variable set: nobody meant to use it."""
    assert refused(ApiKey()).reason is Reason.NOT_CONFIGURED


def test_a_file_wins_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A mounted Secret is replaced while we run, by swapping the link that leads to it."""
    first, second, link = tmp_path / "1", tmp_path / "2", tmp_path / "key"
    first.write_text("sk-first")
    second.write_text("sk-other")
    link.symlink_to(first)
    key = ApiKey(value=SECRET, path=link)
    assert key() == "sk-first"
    link.unlink()
    link.symlink_to(second)
    assert key() == "sk-other"


def test_a_file_that_is_not_there_yet_is_a_missing_key_until_it_comes(tmp_path: Path) -> None:
    """Its path is named; no restart is needed afterwards."""
    path = tmp_path / "openai-api-key"
    key = ApiKey(path=path)
    error = refused(key)
    assert error.reason is Reason.API_KEY_MISSING
    assert error.evidence["path"] == str(path)
    assert error.evidence["variable"] == "OPENAI_API_KEY_FILE"
    path.write_text(SECRET)
    assert key() == SECRET
