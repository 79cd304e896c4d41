"""`check` when it cannot begin: one clear sentence, exit code 2, and a document where one was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from connectivity_operator.cli import cli, shell

BAD = (
    (["--nonsense"], "No such option '--nonsense'"),
    (["--dimensions", "many"], "'many' is not a valid integer"),
    (["--only", "kafka,redis"], "--only: redis; known are kafka, openai, opensearch, postgresql"),
    (["--only", ","], "--only: nothing named"),
    (["--topic", "two words"], "--topic: the name of the topic is 'two words' and must match ^[a-zA-Z0-9._-]{1,249}$"),
    (["--topic", "__consumer_offsets"], "--topic: the name of the topic: internal topics (__*) cannot be consumed"),
    (["--index", "Orders"], "--index: the name of the index is 'Orders' and must match ^[a-z0-9][a-z0-9._-]*$"),
    (["--model", "a b"], "--model: the name of the model is 'a b' and must match"),
    (["-f", "/no/such/file.yaml"], "'/no/such/file.yaml': No such file or directory"),
    (["extra"], "unexpected extra argument (extra)"),
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not usable, so that nothing is ever climbed."""
    monkeypatch.setenv("POSTGRES_PORT", "many")


def check(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["check", *arguments], input=stdin)


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_usage_is_refused_in_words(arguments: list[str], said: str) -> None:
    """On standard error; standard output stays empty, so that a pipe gets no half table."""
    result = check(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize(("arguments", "said"), BAD)
@pytest.mark.parametrize("spelling", [["-o", "json"], ["-ojson"], ["--output=json"], ["--output", "json"]])
def test_json_is_a_document_also_then(arguments: list[str], said: str, spelling: list[str]) -> None:
    """However the option is written, and before or after what is wrong."""
    for command in ([*spelling, *arguments], [*arguments, *spelling]):
        result = check(*command)
        assert result.exit_code == 2
        document = json.loads(result.stdout)
        assert said in document["error"]
        assert not document["passed"]


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_junit_and_html_are_documents_also_then(arguments: list[str], said: str, tmp_path: Path) -> None:
    """Into files too, at the same time."""
    page = tmp_path / "check.html"
    result = check("-o", "junit", "-o", f"html={page}", *arguments)
    assert result.exit_code == 2
    [error] = ET.fromstring(result.stdout).iter("error")
    assert said in (error.text or "")
    assert "could not begin" in page.read_text()


def test_every_problem_of_the_environment_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By variable."""
    monkeypatch.setenv("OPENSEARCH_ENDPOINT", "http://plain.example")
    result = check("-o", "json")
    assert result.exit_code == 2
    for variable in ("POSTGRES_PORT", "OPENSEARCH_ENDPOINT"):
        assert variable in result.stderr
        assert variable in json.loads(result.stdout)["error"]


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (["yaml"], "'yaml' is not a format; known are table, json, junit, html"),
        (["json="], "'json=' names no file"),
        (["json", "junit"], "json and junit cannot both go to standard output"),
        (
            ["html=/no/such/folder/check.html"],
            "/no/such/folder/check.html cannot be written (No such file or directory)",
        ),
    ],
)
def test_an_output_that_cannot_be_is_refused(outputs: list[str], said: str) -> None:
    """Before anything is climbed, not after a minute of it."""
    result = check(*(word for output in outputs for word in ("-o", output)))
    assert result.exit_code == 2
    assert said in result.stderr


def test_an_old_report_is_not_left_for_a_new_one(tmp_path: Path) -> None:
    """A file says why there is no report, or is empty; never what was found last week."""
    table, page = tmp_path / "check.txt", tmp_path / "check.html"
    for old in (table, page):
        old.write_text("all is well")
    check("-o", f"table={table}", "-o", f"html={page}")
    assert table.read_text() == ""
    assert "POSTGRES_PORT" in page.read_text()


def test_a_fault_of_the_check_itself_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its kind alone: what an exception says may hold anything."""

    def broken() -> None:
        raise RuntimeError("the key is sk-secret")

    monkeypatch.setattr(shell, "settings", broken)
    result = check("-o", "json")
    assert json.loads(result.stdout)["error"] == "the check itself is at fault (RuntimeError)"
    assert isinstance(result.exception, RuntimeError)


@pytest.mark.parametrize(("signal", "code"), [(KeyboardInterrupt, 130), (shell.Terminated, 143)])
def test_an_interruption_before_the_first_step_is_told(
    signal: type[BaseException], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a resource from standard input may wait for ever."""

    def interrupted() -> None:
        raise signal

    monkeypatch.setattr(shell, "settings", interrupted)
    result = check("-o", "junit")
    assert result.exit_code == code
    assert "interrupted before the first step" in result.stdout
    assert result.stderr == "Interrupted before the first step.\n"


def test_the_command_line_is_there_before_any_client_library() -> None:
    """Help and refusals come at once; the libraries take most of a second."""
    heavy = "{'aiokafka', 'asyncpg', 'boto3', 'botocore', 'kopf', 'kubernetes', 'openai', 'opensearchpy'}"
    program = f"import sys, connectivity_operator.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        ("kind: ConfigMap", "<stdin>: expected exactly one ConnectivityTest, found none"),
        (b"\xff\xfe\x00", "<stdin>: not UTF-8 text"),
    ],
)
def test_standard_input_is_a_file_like_any_other(stdin: str | bytes, said: str) -> None:
    """`-f -`, with the same refusals."""
    result = check("-f", "-", stdin=stdin)
    assert result.exit_code == 2
    assert said in result.stderr
