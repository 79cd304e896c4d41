"""The runbooks are complete, right in their commands, and in docs/runbooks.md as they are in the program."""

from __future__ import annotations

import html
import inspect
import json
import re
import subprocess
from functools import cache
from pathlib import Path

import botocore.session
import pytest
import yaml
from botocore import xform_name
from botocore.model import ServiceModel
from click.testing import CliRunner

from connectivity_operator import conditions, runbooks, status
from connectivity_operator.cli import cli
from connectivity_operator.diagnosis.catalogue import CATALOGUE, anchor
from connectivity_operator.reasons import Reason
from connectivity_operator.runbooks import RESOURCE, Article, articles, needed, variables
from connectivity_operator.runbooks.markdown import render

ROOT = Path(__file__).parents[2]
DATA = Path(runbooks.__file__).parent
ARTICLES = [pytest.param(article, id=article.anchors[0]) for article in articles()]

GLOBAL_OPTIONS = {"query", "output", "region"}
SHORTHANDS = {"authorize-security-group-ingress": {"protocol", "port", "source-group"}}
"""Options that the AWS CLI adds to the API's parameters."""


# ── complete ─────────────────────────────────────────────────────────────────────────────────────────
def test_the_file_is_what_the_program_says() -> None:
    """Made by `make runbooks`."""
    assert (ROOT / "docs/runbooks.md").read_text() == render()


def test_every_code_has_a_runbook() -> None:
    """Not one is forgotten."""
    forgotten = [article.anchors for article in articles() if article.meaning == runbooks.UNWRITTEN["meaning"]]
    assert forgotten == []


def test_a_forgotten_runbook_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """`explain` of that code and of all others still works."""
    pages = {name: yaml.safe_load((DATA / f"{name}.yaml").read_text()) for name in (*runbooks.GROUPS, "network")}
    del pages["kafka"]["ReadDataDenied"]
    monkeypatch.setattr(runbooks, "_pages", pages.__getitem__)
    articles.cache_clear()
    try:
        told = " ".join(explained("ReadDataDenied").split())
        assert "No runbook is written for this code" in told
        assert "refuses to hand out messages" in told
        assert "kafka-cluster:Connect" in explained("ClusterAccessDenied")
    finally:
        articles.cache_clear()


def test_every_link_of_a_status_leads_to_a_section() -> None:
    """The id that `describe` puts into a link is that of exactly one section."""
    ids = re.findall(r'<a id="([^"]+)"></a>', render())
    assert len(ids) == len(set(ids))
    assert {anchor(service, reason) for service, reason in CATALOGUE} <= set(ids)
    assert set(re.findall(r"\]\(#([^)]+)\)", render())) <= set(ids)


def test_every_reason_of_a_condition_has_a_section() -> None:
    """Also what is no verdict of a ladder can be looked up."""
    said = set(re.findall(r'"([A-Z][A-Za-z]+)"', inspect.getsource(conditions)))
    said |= {f"{name}Failed" for name in status.NAMES.values()} | {reason.value for reason in Reason}
    said -= {"True", "False", "Unknown", *status.NAMES.values(), "Ready", "PipelineFlowing", "Stalled"}
    assert said - {article.code for article in articles()} == set()


def test_no_text_is_for_a_code_that_is_not() -> None:
    """A renamed code leaves nothing behind."""
    for path in DATA.glob("*.yaml"):
        if path.stem != "variables":
            known = {a.code for a in articles() if path.stem in {*a.groups, "network"}}
            assert set(yaml.safe_load(path.read_text())) - known == set(), path.name


@pytest.mark.parametrize("article", ARTICLES)
def test_an_article_says_how_to_confirm_and_to_fix(article: Article) -> None:
    """Of everything that can be wrong."""
    assert article.meaning.endswith((".", "*"))
    if RESOURCE not in article.groups:
        assert article.confirm.strip()
        assert article.fix.strip()
        assert article.healer
        assert article.noticed


# ── commands ─────────────────────────────────────────────────────────────────────────────────────────
def blocks(article: Article) -> list[str]:
    return [block for block in (article.confirm, article.fix) if block]


def test_every_variable_is_used_and_set() -> None:
    """A command never needs a variable that nobody explains."""
    everything = "\n".join(block for article in articles() for block in blocks(article)) + "$POD $NAMESPACE"
    named = set(re.findall(r"\$\{?([A-Z][A-Z_]*)", everything))
    assert named <= {variable.name for variable in variables()}
    assert {variable.name for variable in needed(everything)} == {variable.name for variable in variables()}


def test_the_function_that_runs_in_the_pod_is_told_which() -> None:
    """`in_pod` needs the Pod and its namespace although its own words name neither."""
    assert {variable.name for variable in needed('in_pod dig "$HOST"')} == {"NAMESPACE", "POD", "HOST"}


def test_variables_can_be_set_in_their_order() -> None:
    """None needs a later one."""
    seen: set[str] = set()
    for variable in variables():
        assert set(re.findall(r"\$\{?([A-Z][A-Z_]*)", variable.value)) <= seen
        seen.add(variable.name)


def test_commands_are_shell() -> None:
    """Once the placeholders are filled in, a shell can parse all of them."""
    filled = "\n".join(
        re.sub(r"<[a-zA-Z][^<>\n]*>", "filled", block) for article in articles() for block in blocks(article)
    )
    assignments = "\n".join(f"{variable.name}={variable.value}" for variable in variables())
    assignments += "".join(f"\n{helper.text}" for helper in runbooks.HELPERS)
    checked = subprocess.run(
        ["bash", "-n"], input=f"{assignments}\n{filled}", capture_output=True, text=True, check=False
    )
    assert checked.stderr == ""


def aws_commands() -> list[tuple[str, str, frozenset[str]]]:
    """(service, operation, options) of every call of the AWS CLI."""
    texts = [block for article in articles() for block in blocks(article)] + [v.value for v in variables()]
    found = set()
    for text in texts:
        joined = re.sub(r"\\\n\s*", " ", text)
        nested = re.findall(r"\$\((aws [^()]*)\)", joined)
        for line in [*nested, *re.sub(r"\$\(aws [^()]*\)", "", joined).splitlines()]:
            for call in re.findall(r"^\s*(aws .*)", line):
                words = re.sub(r"'[^']*'", "''", call).split()
                options = frozenset(word[2:] for word in words if re.fullmatch(r"--[a-z0-9-]+", word))
                found.add((words[1], words[2], options))
    return sorted(found, key=lambda one: (*one[:2], sorted(one[2])))


@cache
def service_model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


@pytest.mark.parametrize(("service", "operation", "options"), aws_commands())
def test_calls_of_the_aws_cli_exist(service: str, operation: str, options: frozenset[str]) -> None:
    """Service, operation, options and whether all required ones are there, by the SDK's own models."""
    model = service_model(service)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in operations
    shape = model.operation_model(operations[operation]).input_shape
    assert shape is not None
    known = {xform_name(name, "-") for name in shape.members}
    assert options - known - SHORTHANDS.get(operation, set()) - GLOBAL_OPTIONS == set()
    assert {xform_name(name, "-") for name in shape.required_members} - {"client-token"} <= options


def as_a_shell_writes_it(document: str) -> str:
    """A here-document, with the examples' values."""
    values = {v.name: "asked" if "$(" in v.value else v.value for v in variables()}
    assignments = "\n".join(f"{name}={value}" for name, value in values.items())
    script = f"{assignments}\ncat <<EOF\n{document}\nEOF\n"
    return subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("article", ARTICLES)
def test_policies_and_patches_are_json(article: Article) -> None:
    """What is pasted into AWS and Kubernetes parses."""
    for block in blocks(article):
        documents = re.findall(r"<<EOF\n(.*?)\nEOF", block, re.DOTALL)
        documents = [as_a_shell_writes_it(document) for document in documents]
        documents += re.findall(r"--patch \\?\s*'(\{.*?\})'\s*(?:\n|$)", block)
        for document in documents:
            assert json.loads(document)


# ── explain ──────────────────────────────────────────────────────────────────────────────────────────
def explained(*what: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["explain", *what], env={"COLUMNS": "80"})
    assert result.exit_code == code, result.output
    return result.output


def test_explain_alone_lists_every_code() -> None:
    """Grouped by service."""
    listed = explained()
    assert {article.code for article in articles()} <= set(listed.split())
    assert max(map(len, listed.splitlines())) <= 80


@pytest.mark.parametrize("article", ARTICLES)
def test_explain_tells_every_article_at_80_columns(article: Article) -> None:
    """Text is wrapped, commands are whole and begin at the margin."""
    told = explained(article.groups[0], article.code.upper())
    commands = {line.rstrip() for block in blocks(article) for line in block.splitlines()}
    assert commands <= set(told.splitlines())
    settings = {f"{v.name}={v.value}" for v in variables()}
    helpers = {line for helper in article.helpers() for line in helper.text.splitlines()}
    assert helpers <= set(told.splitlines())
    prose = [line for line in told.splitlines() if line not in commands | settings | helpers]
    assert max(map(len, prose)) <= 80


@pytest.mark.parametrize(
    "written", ["kafka ReadDataDenied", "kafka/readdatadenied", "kafka-readdatadenied", "READDATADENIED"]
)
def test_explain_takes_a_code_as_people_write_it(written: str) -> None:
    """Service and code apart, as in a report, as in a link, or the code alone."""
    assert "kafka-cluster:ReadData" in explained(*written.split())


def test_explain_shows_a_code_of_several_services_for_each() -> None:
    """DimensionMismatch is of OpenAI and of OpenSearch."""
    told = explained("DimensionMismatch")
    assert "openai: DimensionMismatch" in told
    assert "opensearch: DimensionMismatch" in told
    assert "openai: " not in explained("opensearch", "DimensionMismatch")


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        (["ReadDataDenid"], "did you mean ReadDataDenied"),
        (["kafka", "IAMNotGranted"], "did you mean postgresql/IAMNotGranted"),
        (["xyzzy"], "lists all"),
        (["Connected", "Flowing"], "one code at a time"),
    ],
)
def test_explain_refuses_what_is_unknown_and_says_what_is_near(written: list[str], hint: str) -> None:
    """Usage errors are exit code 2."""
    assert hint in explained(*written, code=2)


def test_explain_as_json() -> None:
    """For tools; the same facts."""
    [told] = json.loads(explained("kafka", "ReadDataDenied", "-o", "json"))
    assert told["code"] == "ReadDataDenied"
    assert told["groups"] == ["kafka"]
    assert html.unescape(told["message"]).startswith("The broker accepts the login")
