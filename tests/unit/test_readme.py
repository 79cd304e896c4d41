"""The README and the documents say what the program does: names, defaults, paths, policies and texts are compared."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from connectivity_operator import conditions, logs, status
from connectivity_operator.adapters.postgresql import table
from connectivity_operator.cli import cli, permissions
from connectivity_operator.diagnosis.catalogue import describe
from connectivity_operator.diagnosis.kafka import msk
from connectivity_operator.diagnosis.ladder import Climb, Failure, RungOutcome
from connectivity_operator.permissions import Demand, Privileges, grants, privileges
from connectivity_operator.reasons import Reason, Result, Rung, Service
from connectivity_operator.reports import Options, report
from connectivity_operator.reports import json as json_report
from connectivity_operator.settings import Settings
from lab import world
from lab.cli import main as lab_cli
from lab.iam import defaults
from lab.iam.web_identity import provider_id

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "connectivity_operator"
README = (ROOT / "README.md").read_text()
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "helm/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    return re.split(r"^#+ ", text.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def table_rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the tables in a text, headings left out."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("| ") and not line.startswith("| ---") and not following.startswith("| ---"):
            yield [cell.strip() for cell in line.strip()[1:-1].split("|")]


def code_blocks(text: str, language: str = "") -> list[str]:
    """The contents of the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def inline_code(text: str) -> list[str]:
    """What stands in single backticks outside of fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


ABSENT_ON_PURPOSE = "operator/__init__.py"


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────
def written(value: object) -> str:
    """A default as the table writes it; absent and empty ones are an empty cell."""
    match value:
        case None | ():
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case _:
            return f"`{value}`"


def test_every_variable_is_in_the_readme_with_its_default() -> None:
    """The table lists exactly what `Settings` reads, in its order, with the defaults that it has."""
    rows = [cells for cells in table_rows(section(README, "Configuration")) if cells[0].startswith("`")]
    settings = Settings()
    expected = [(f"`{name}`", written(getattr(settings, name.lower()))) for name in Settings.variables()]
    assert sorted((cells[0], cells[1]) for cells in rows) == sorted(expected)


# ── commands and paths ───────────────────────────────────────────────────────────────────────────────
def test_every_make_target_exists_and_is_told() -> None:
    """Whoever types what the README says gets no "No rule to make target", and no target is a secret."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    mentioned = set(re.findall(r"\bmake ([a-z-]+)\b(?! [a-z])", "\n".join(inline_code(README))))
    mentioned |= set(re.findall(r"^make ([a-z-]+)", README, flags=re.MULTILINE))
    assert mentioned == targets


def commands(text: str, program: str) -> Iterator[list[str]]:
    """The arguments of each mention of a program, in code alone."""
    code = [*inline_code(text), *(line for block in code_blocks(text, "console") for line in block.splitlines())]
    for line in code:
        for found in re.findall(rf"(?<!/){re.escape(program)} +([^`#\n]*)", line):
            yield found.strip().rstrip(')"').split()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_exists_with_its_options(document: Path) -> None:
    """Commands and options of both programs are spelt as the programs have them."""
    text = document.read_text()
    for program, group in (("connectivity-operator", cli), ("python -m lab", lab_cli)):
        for arguments in commands(text, program):
            command = group.commands.get(arguments[0])
            if isinstance(command, click.Group):
                command = command.commands.get(arguments[1])
            assert command is not None, f"{program} {' '.join(arguments)}"
            known = {option for parameter in command.params for option in parameter.opts}
            for argument in arguments[1:]:
                if argument == "--" or command.context_settings.get("ignore_unknown_options"):
                    break
                option = argument.strip("[]")
                assert not re.match(r"--?[a-z]", option) or option in known, f"{program} {' '.join(arguments)}"


def exists(path: str) -> bool:
    """Whether a path means something: in the repository, in the package, or (a bare name) anywhere in the package."""
    places = (ROOT / path, PACKAGE / path)
    return any(place.exists() for place in places) or ("/" not in path and any(PACKAGE.rglob(path)))


def paths(text: str) -> Iterator[str]:
    """What looks like a path of the repository: links, and code that ends like a file or a folder of it."""
    yield from (target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target)
    for code in inline_code(text):
        if re.fullmatch(r"[\w.-]*[\w/.-]*(\.(py|yaml|md|txt|toml|yml)|/)", code) and not code.startswith(("/", ".lab")):
            yield code


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_exists(document: Path) -> None:
    """Links and file names lead somewhere."""
    text = document.read_text()
    missing = [path for path in paths(text) if not (document.parent / path).exists() and not exists(path)]
    assert [path for path in missing if path != ABSENT_ON_PURPOSE] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_anchor_exists(document: Path) -> None:
    """A link within the document leads to one of its headings, by GitHub's rule for anchors, or to an id of its own."""
    text = document.read_text()
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    anchors |= set(re.findall(r'<a id="([^"]+)"></a>', text))
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def test_the_tree_is_the_real_one() -> None:
    """Everything in the picture of the code is there."""
    (tree,) = [block for block in code_blocks(section(README, "How it is built")) if "connectivity_operator/" in block]
    names = set(re.findall(r"[\w/]+(?:\.py|/)|tests/\w+", tree))
    assert len(names) > 20
    assert [name for name in sorted(names) if not exists(name) and not exists(f"diagnosis/{name}")] == []


# ── permissions and the table ────────────────────────────────────────────────────────────────────────
def policy(name: str) -> Any:
    """The policy after the mark of that name."""
    return json.loads(code_blocks(README.split(f"<!-- policy: {name} -->\n", 1)[1], "json")[0])


def printed(settings: Settings, facts: Mapping[str, str] | None = None) -> Privileges:
    """What the command that the README names prints."""
    (line,) = [block for block in code_blocks(README, "console") if "permissions --create" in block]
    arguments = shlex.split(line.replace("\\\n", " "))[2:]
    with permissions.permissions.make_context("permissions", arguments) as context:
        asked = context.params
    topics, indices = tuple(sorted(asked["topics"])), tuple(sorted(asked["indices"]))
    demand = Demand("the README", topics, indices, create=asked["create"], send=asked["send"])
    return privileges(settings, demand, facts or {}, table=table.CREATE)


def test_the_policies_are_those_that_the_command_prints() -> None:
    """The README and the program say the same."""
    found = printed(Settings())
    assert policy("iam") == found.identity_policy
    assert policy("trust") == found.web_identity
    assert policy("pod identity") == found.pod_identity
    assert policy("data access") == found.data_access


def test_the_policies_are_those_that_the_lab_enforces() -> None:
    """All tests against the lab run under them: with the lab's names in them they are the operator's role there."""
    settings = Settings(
        aws_region=world.REGION,
        kafka_cluster_arn=world.CLUSTER_ARN,
        postgres_resource_id=world.DB_RESOURCE_ID,
        postgres_user=world.DB_USER,
        opensearch_endpoint=f"https://{world.OPENSEARCH[0]}",
        opensearch_collection_name=world.COLLECTION_NAME,
    )
    subject = f"system:serviceaccount:{world.OPERATOR_NAMESPACE}:{world.OPERATOR_SERVICE_ACCOUNT}"
    issuer = provider_id(world.KUBERNETES_ISSUER)
    found = printed(settings, {"role_arn": world.ROLE_ARN, "issuer_host": issuer, "subject": subject})
    enforced = [s for document in defaults.operator_policies().values() for s in document["Statement"]]
    assert found.identity_policy
    assert allowed(found.identity_policy["Statement"]) == allowed(enforced)
    assert found.web_identity == defaults.trust(world.OPERATOR_SERVICE_ACCOUNT)
    assert found.data_access == defaults.document()["data_access_policies"]["connectivity-test"]


def allowed(statements: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Each action with each of its resources, however they are put into statements."""
    pairs = set()
    for statement in statements:
        actions, resources = (
            [value] if isinstance(value, str) else value for value in (statement["Action"], statement["Resource"])
        )
        pairs |= {(action, resource) for action in actions for resource in resources}
    return pairs


def test_the_grants_are_those_that_the_command_prints() -> None:
    """The first block with the right to create the table, the second one without."""
    first, second = (
        " ".join(re.sub(r"--.*", "", block).split()) for block in code_blocks(section(README, "The database"), "sql")
    )
    for create, blocks in ((True, first), (False, first + second)):
        sql = grants.statements(Settings(), Demand("", create=create), table.CREATE)
        assert [s.statement for s in sql if " ".join(s.statement.split()) not in blocks] == []


def test_the_table_is_the_one_that_the_operator_creates() -> None:
    """Who makes `demo_log` by hand makes what the operator would."""
    statements = " ".join(code_blocks(README, "sql"))
    found = re.search(r"CREATE TABLE demo_log \(.*?\n\)", statements, flags=re.DOTALL)
    assert found is not None
    assert found[0].split() == table.CREATE.split()


# ── texts ────────────────────────────────────────────────────────────────────────────────────────────
def test_every_reason_of_a_condition_is_explained() -> None:
    """What `conditions` can say stands in the README's section about the status."""
    said = set(re.findall(r'"([A-Z][A-Za-z]+)"', inspect.getsource(conditions)))
    said |= {f"{name}Failed" for name in status.NAMES.values()}
    explained = section(README, "Reading the status")
    assert [word for word in sorted(said) if word not in explained] == []


def test_the_example_of_a_failure_is_what_the_catalogue_says() -> None:
    """Message and remedy are the program's own words."""
    evidence = {
        "topic": "invoices",
        "topic_arn": msk.topic_arn(world.CLUSTER_ARN, "invoices"),
        "principal": world.ROLE_ARN,
    }
    told = describe(Service.KAFKA, Failure(Reason.DESCRIBE_TOPIC_DENIED, Rung.AUTHORIZATION, evidence))
    shown = " ".join(section(README, "When something is missing").split())
    assert told.message in shown
    assert told.remedy in shown


# ── the JSON of `check` ──────────────────────────────────────────────────────────────────────────────
CHECK_JSON = (ROOT / "docs/check-json.md").read_text()


def rendered() -> dict[str, Any]:
    """The document of a check with a failure, a warning and an identity."""
    failure = Failure(Reason.READ_DATA_DENIED, Rung.AUTHORIZATION, {"topic": "orders"})
    warning = Failure(Reason.CERTIFICATE_EXPIRES_SOON, Rung.TLS, {})
    climb = Climb(
        Service.KAFKA,
        (RungOutcome(Rung.TLS, Result.WARNED, 0.1), RungOutcome(Rung.AUTHORIZATION, Result.FAILED, 0.1)),
        failure,
        (warning,),
        {"caller_arn": "arn", "method": "WebIdentity"},
    )
    options = Options(topics=("orders",), only=("kafka",))
    made = report([climb], describe, version="1", started=datetime.now(UTC), seconds=1.0, options=options)
    document: dict[str, Any] = json.loads(json_report.render(made))
    return document


def documented(title: str, *, nth: int = 0) -> set[str]:
    """The fields that one table of the document lists."""
    tables = re.split(r"\n\n(?!\|)", section(CHECK_JSON, title))
    with_fields = [part for part in tables if "| field |" in part]
    return {cells[0].strip("`") for cells in table_rows(with_fields[nth])}


def test_the_fields_of_the_json_are_documented() -> None:
    """Every key that is written is in a table, and no table lists another one."""
    document = rendered()
    (service,) = document["services"]
    parts = {f"{part}.{key}" for part in ("identity", "options") for key in document[part]}
    top = {*document, *parts}
    assert documented("The document") == top
    assert documented("The document", nth=1) == set(service)
    assert documented("The document", nth=2) == set(service["rungs"][0])
    assert all(f"`{key}`" in CHECK_JSON for key in service["warnings"][0])


def test_the_example_of_the_json_has_the_shape_of_the_real_one() -> None:
    """The same keys at every level."""

    def shape(value: Any) -> Any:
        match value:
            case {"evidence": _}:
                return sorted(value)
            case Mapping():
                return {key: shape(item) for key, item in value.items()}
            case [first, *_]:
                return [shape(first)]
            case _:
                return None

    (example,) = code_blocks(CHECK_JSON, "json")
    real = rendered()
    real["services"][0]["warnings"] = []
    assert shape(json.loads(example)) == shape(real)
    assert json.loads(example)["schemaVersion"] == json_report.SCHEMA_VERSION


# ── logs ─────────────────────────────────────────────────────────────────────────────────────────────
LOGS = (ROOT / "docs/logs.md").read_text()


def test_every_common_key_of_a_log_line_is_documented() -> None:
    """The keys that come first are explained."""
    keys = {key for cells in table_rows(section(LOGS, "Logs")) for key in re.findall(r"`(\w+)`", cells[0])}
    assert keys == set(logs.ORDER)


def test_every_documented_event_is_logged_somewhere() -> None:
    """The words of an event are searched for and alerted on; they stand in the code as in the document."""
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    events = {event for cells in table_rows(section(LOGS, "Events")) for event in re.findall(r"`([^`]+)`", cells[0])}
    assert len(events) > 20
    assert [event for event in sorted(events) if event.strip("… ") not in source] == []


def test_the_share_of_faults_named_exactly_is_that_of_the_report() -> None:
    """The README repeats the headline of `docs/diagnosis-report.md`."""
    headline = re.search(r"\*\*(\d+ of \d+ named exactly)", (ROOT / "docs" / "diagnosis-report.md").read_text())
    assert headline
    assert f"[{headline[1]}](docs/diagnosis-report.md)" in README
