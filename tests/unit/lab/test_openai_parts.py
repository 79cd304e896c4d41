"""Rules of the lab's OpenAI that need no server: what a request may be, and which injected answer it gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.openai import validation
from lab.openai.errors import ApiError, invalid_key
from lab.openai.injection import PRESETS, Injections, UnknownInjectionError, read


@pytest.mark.parametrize(
    ("given", "inputs"),
    [("a", ("a",)), (["a", "b"], ("a", "b")), ([1, 2], ((1, 2),)), ([[1], [2, 3]], ((1,), (2, 3)))],
)
def test_inputs_are_texts_or_token_ids(given: Any, inputs: tuple[object, ...]) -> None:
    """One or many of either."""
    assert validation.read({"model": "text-embedding-3-small", "input": given}).inputs == inputs


@pytest.mark.parametrize("given", [None, "", [], [""], [[]], [1, "a"], [True], [-1], {"a": 1}, 7])
def test_everything_else_is_invalid(given: Any) -> None:
    """A request that OpenAI would refuse must not pass here."""
    with pytest.raises(ApiError, match="input' is invalid"):
        validation.read({"model": "text-embedding-3-small", "input": given})


@pytest.mark.parametrize(
    ("tokens", "refused"), [([8192], False), ([8193], True), ([8000] * 37, False), ([8000] * 38, True)]
)
def test_token_limits_are_inclusive(tokens: list[int], refused: bool) -> None:
    """8192 an input and 300 000 a request are still taken."""
    if refused:
        with pytest.raises(ApiError):
            validation.check_lengths(tokens)
    else:
        validation.check_lengths(tokens)


def test_a_key_is_never_shown_whole() -> None:
    """Unless it is too short to be one."""
    text = str(invalid_key("sk-proj-abcdefghijklmnop"))
    assert "sk-proj-************mnop" in text
    assert "abcdefgh" not in text


def test_injections_are_used_oldest_first_and_run_out() -> None:
    """Two of one kind, then the next kind until it is cleared."""
    injections = Injections()
    injections.add(read({"status": 500, "times": 2}))
    injections.add(read({"status": 429}))
    taken = [injections.of(["x"]) for _ in range(4)]
    assert [t.status for t in taken if t] == [500, 500, 429, 429]
    injections.clear()
    assert injections.of(["x"]) is None


def test_a_named_injection_is_replaced_and_ended_alone() -> None:
    """Faults compose: one that ends takes no other with it, and one that is switched on twice is there once."""
    injections = Injections()
    for name in ("a", "b", "a"):
        injections.add(read({"preset": "server_error", "name": name}))
    injections.clear("a")
    left = injections.of([])
    assert left is not None
    assert left.name == "b"
    injections.clear("b")
    assert injections.of([]) is None


def test_an_injection_for_a_text_leaves_others_alone() -> None:
    """And is not used up by them."""
    injections = Injections()
    injections.add(read({"status": 400, "contains": "poison", "times": 1}))
    assert injections.of(["good"]) is None
    assert injections.of(["good", "some poison"]) is not None
    assert injections.of(["some poison"]) is None


def test_fields_override_a_preset_and_bodies_may_be_objects() -> None:
    """So that a variation of a preset is one line."""
    injection = read({"preset": "server_error", "status": 502, "body": {"error": {"message": "x"}}})
    assert injection.status == 502
    assert json.loads(injection.body) == {"error": {"message": "x"}}


@pytest.mark.parametrize("source", [{"preset": "quota"}, {"delay": 1}])
def test_a_misspelt_injection_is_refused(source: dict[str, Any]) -> None:
    """A fault that silently does nothing would make a test pass for the wrong reason."""
    with pytest.raises(UnknownInjectionError):
        read(source)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_complete(name: str) -> None:
    """It does something, and its JSON is OpenAI's error object."""
    injection = read({"preset": name})
    assert injection.status or injection.reset or injection.delay_seconds or injection.dimensions or injection.empty
    if injection.status >= 400 and injection.content_type == "application/json":
        assert set(json.loads(injection.body)["error"]) == {"message", "type", "param", "code"}
