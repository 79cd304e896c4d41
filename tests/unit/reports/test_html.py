"""The page: whole in itself, asks for nothing, runs nothing, shows text as text."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import pytest

from connectivity_operator.diagnosis.catalogue import describe
from connectivity_operator.reasons import Reason, Rung, Service
from connectivity_operator.reports import Options, html, report
from tests.fakes.reports import IAM_NOT_GRANTED, READ_DATA_DENIED, REPORTS, STARTED, failed, made

VOID = {"meta"}


@dataclass
class Page(HTMLParser):
    """What a browser finds: elements with attributes, texts by element, and whether all is closed."""

    source: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


@pytest.fixture(params=REPORTS)
def page(request: pytest.FixtureRequest) -> Page:
    return Page(html.render(REPORTS[request.param]))


def test_every_element_is_closed(page: Page) -> None:
    """And in the right order, which `Page` looks at."""
    assert page.open == []
    assert page.source.startswith("<!DOCTYPE html>")


def test_nothing_is_loaded_and_nothing_runs(page: Page) -> None:
    """No script, no picture, font or style from elsewhere; links lead into the page."""
    assert {tag for tag, _ in page.elements} & {"script", "img", "link", "iframe", "object", "embed", "form"} == set()
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name in ("src", "style", "srcset") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in "".join(page.of("style"))
    assert "@import" not in "".join(page.of("style"))


def test_the_policy_allows_its_own_style_and_nothing_else(page: Page) -> None:
    """A browser hashes the style and compares; one character more and the page is naked."""
    policies = [a["content"] for tag, a in page.elements if tag == "meta" and a.get("http-equiv")]
    digest = base64.b64encode(hashlib.sha256("".join(page.of("style")).encode()).digest()).decode()
    assert policies == [f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"]


def test_text_is_text() -> None:
    """Markup from a server or an option is shown, not obeyed."""
    evil = "<script>alert(1)</script>"
    climb = failed(Service.OPENAI, Reason.MODEL_NOT_FOUND, Rung.AUTHORIZATION, {"model": evil, "host": "h"})
    source = html.render(made(climb, options=Options(model=evil)))
    page = Page(source)
    assert "script" not in {tag for tag, _ in page.elements}
    assert any(evil in text for text in page.of("p"))
    assert any(evil in text for text in page.of("code"))


def test_what_is_to_be_pasted_stands_in_blocks() -> None:
    """A click selects one whole."""
    assert "GRANT rds_iam TO app;" in Page(html.render(made(IAM_NOT_GRANTED))).of("pre")


def test_what_is_to_be_fixed_comes_first() -> None:
    """Whoever opens a ticket's page sees it without scrolling; warnings come before what needs nothing."""
    page = Page(html.render(REPORTS["failures and a warning"]))
    assert page.of("h2") == ["Kafka", "PostgreSQL", "OpenSearch", "OpenAI"]


def test_the_head_says_what_a_ticket_needs() -> None:
    """Verdict, identity, version, time and the command."""
    page = Page(html.render(REPORTS["failures and a warning"]))
    assert page.of("h1") == ["Connectivity check"]
    text = " ".join(text for _, text in page.texts)
    for said in ("2 of 4 failed: Kafka, PostgreSQL", "assumed-role/connectivity-test", "1.2.3", "2026-11-23T16:00:00Z"):
        assert said in text
    command = page.of("code")[0]
    assert command.startswith("connectivity-operator check --topic orders --topic payments --index documents")


def test_every_rung_is_drawn_and_every_climbed_one_has_a_bar() -> None:
    """Pictures have words too, for those who do not see them."""
    page = Page(html.render(made(READ_DATA_DENIED)))
    drawn = [text for text in page.of("title") if re.fullmatch(r"\w+: (Passed|Failed|Skipped)", text)]
    assert len(drawn) == 8
    assert "authorization: Failed" in drawn
    assert len([a for tag, a in page.elements if tag == "rect" and a["class"] != "track"]) == 7


def test_a_runbook_is_linked_without_telling_where_from() -> None:
    """The only link that leads out of the page, where RUNBOOKS_URL is set."""
    made_ = report(
        [READ_DATA_DENIED],
        lambda service, failure: replace(describe(service, failure), runbook="https://runbooks.example/#x"),
        version="1",
        started=STARTED,
        seconds=1.0,
    )
    links = [a for tag, a in Page(html.render(made_)).elements if tag == "a" and not (a["href"] or "").startswith("#")]
    assert links == [{"href": "https://runbooks.example/#x", "rel": "noreferrer"}]
