"""The runbooks: for each code what it means, how to confirm it, how to fix it, who heals it and how soon it shows.

The texts and commands are data, one YAML file a service (`network.yaml` is what services share); rung, flip class and
healer are the catalogue's. `markdown` makes docs/runbooks.md of it, `terminal` what ``explain`` prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from connectivity_operator.diagnosis.catalogue import CATALOGUE, Entry
from connectivity_operator.diagnosis.catalogue.words import fill
from connectivity_operator.diagnosis.judge import CONFIRM_AFTER, TRANSIENT_AFTER, TRANSIENT_TRIES, Kind
from connectivity_operator.reasons import Reason, Service

RESOURCE = "resource"
"""What stands in the place of a service for reasons that are no dependency's."""

GROUPS = (*(service.value for service in Service), RESOURCE)

WARNINGS = {
    Reason.STATIC_CREDENTIALS_IN_USE, Reason.NODE_ROLE_IN_USE, Reason.GLOBAL_STS_ENDPOINT, Reason.PASSWORD_IN_USE,
    Reason.CERTIFICATE_EXPIRES_SOON, Reason.CREDENTIAL_REFRESH_FAILING, Reason.INDEX_ABSENT,
}  # fmt: skip
"""Codes that only ever warn."""

UNWRITTEN = {"meaning": "No runbook is written for this code; the status and `check` hold its message and its remedy."}
"""Stands in the place of a page that somebody has forgotten: a test fails, and ``explain`` still tells the rest."""

_NOTICED = {
    Kind.REFUSED: f"with the next check (every spec.intervalSeconds), confirmed by a second one {CONFIRM_AFTER:g} s "
    "later",
    Kind.TRANSIENT: f"when it still fails {TRANSIENT_AFTER:g} s after the check that failed first, and at least "
    f"{TRANSIENT_TRIES} checks did; until then as a warning",
}


@dataclass(frozen=True, slots=True)
class Variable:
    """A shell variable that commands use."""

    name: str
    value: str
    """An example, or what finds it."""
    meaning: str


@dataclass(frozen=True, slots=True)
class Helper:
    """What commands need beside variables."""

    word: str
    """Stands in the commands that need it."""
    meaning: str
    text: str
    """To be pasted before them."""


HELPERS = (
    Helper(
        "in_pod",
        "in_pod runs a command in the network of the operator's Pod, in which there is no shell (any image with dig, "
        'nc, openssl and curl will do; where the namespace enforces Pod Security "restricted", run it in a Pod of '
        "another one on the same node)",
        'in_pod() { kubectl -n "$NAMESPACE" debug -it "$POD" \\\n'
        '  --image=nicolaka/netshoot --profile=general -- "$@"; }',
    ),
    Helper(
        "client.properties",
        "client.properties lets Kafka's own tools log in by IAM, with the jar of "
        "https://github.com/aws/aws-msk-iam-auth in their CLASSPATH",
        "cat > client.properties <<'EOF'\n"
        "security.protocol=SASL_SSL\n"
        "sasl.mechanism=AWS_MSK_IAM\n"
        "sasl.jaas.config=software.amazon.msk.auth.iam.IAMLoginModule required;\n"
        "sasl.client.callback.handler.class=software.amazon.msk.auth.iam.IAMClientCallbackHandler\n"
        "EOF",
    ),
    Helper(
        "awscurl",
        "awscurl sends signed requests (https://github.com/okigan/awscurl)",
        "pipx install awscurl",
    ),
)


@dataclass(frozen=True, slots=True)
class Article:
    """One code, of one service or of several that share it."""

    code: str
    groups: tuple[str, ...]
    """Services, or `RESOURCE`."""
    meaning: str
    message: str
    """What the status says, with placeholders; empty for codes that have no fixed words."""
    rung: str
    healer: str
    noticed: str
    confirm: str
    """Shell commands; empty where there is nothing to ask."""
    fix: str
    """Shell commands; empty where there is nothing to do."""

    @property
    def anchors(self) -> tuple[str, ...]:
        """Ids of it in docs/runbooks.md."""
        return tuple(f"{group}-{self.code.lower()}" for group in self.groups)

    def variables(self) -> list[Variable]:
        """What its commands need, in the order in which they can be set."""
        return needed(self.confirm + self.fix)

    def helpers(self) -> list[Helper]:
        """What else they need."""
        return [helper for helper in HELPERS if helper.word in self.confirm + self.fix]


@cache
def articles() -> tuple[Article, ...]:
    """All of them, in the catalogue's order; what is the same entry for several services is one article."""
    shared: dict[int, list[tuple[Service, Entry]]] = {}
    for (service, _), entry in CATALOGUE.items():
        shared.setdefault(id(entry), []).append((service, entry))
    found = [_of_entry(tuple(service for service, _ in group), group[0][1]) for group in shared.values()]
    return (*found, *(_of_resource(code, page) for code, page in _pages(RESOURCE).items()))


@cache
def variables() -> tuple[Variable, ...]:
    """Every shell variable that commands use."""
    return tuple(Variable(name, **facts) for name, facts in _read("variables").items())


def needed(commands: str) -> list[Variable]:
    """The variables of ``commands``, and of their own values."""
    wanted = _named(commands) | ({"POD"} if "in_pod" in commands else set())
    for variable in reversed(variables()):
        if variable.name in wanted:
            wanted |= _named(variable.value)
    return [variable for variable in variables() if variable.name in wanted]


def _of_entry(services: tuple[Service, ...], entry: Entry) -> Article:
    page = _page(services, entry.reason)
    warning = entry.reason in WARNINGS
    return Article(
        code=entry.reason,
        groups=services,
        meaning=page["meaning"].strip(),
        message=fill(entry.message, {}),
        rung=entry.rung,
        healer=entry.healer,
        noticed="with the next check, as a warning" if warning else _NOTICED[entry.kind],
        confirm=_confirm(page),
        fix=_fix(page),
    )


def _page(services: tuple[Service, ...], reason: Reason) -> Mapping[str, Any]:
    own = _pages(services[0]) if len(services) == 1 else {}
    return own.get(reason) or _pages("network").get(reason) or UNWRITTEN


def _of_resource(code: str, page: Mapping[str, Any]) -> Article:
    return Article(
        code=code,
        groups=(RESOURCE,),
        meaning=page["meaning"].strip(),
        message="",
        rung="",
        healer=page.get("healer", ""),
        noticed="",
        confirm=_confirm(page),
        fix=_fix(page),
    )


def _confirm(page: Mapping[str, Any]) -> str:
    asked = ""
    if "allow" in page:
        action, resource = page["allow"]
        asked = (
            f'aws iam simulate-principal-policy --policy-source-arn "$ROLE_ARN" \\\n'
            f'  --action-names {action} --resource-arns "{resource}" \\\n'
            f"  --query 'EvaluationResults[].EvalDecision' --output text   # allowed, implicitDeny or explicitDeny\n"
        )
    return asked + str(page.get("confirm", ""))


def _fix(page: Mapping[str, Any]) -> str:
    allowed = ""
    if "allow" in page:
        action, resource = page["allow"]
        allowed = (
            "cat > policy.json <<EOF\n"
            '{"Version":"2012-10-17","Statement":[{\n'
            f'  "Effect":"Allow","Action":"{action}","Resource":"{resource}"}}]}}\n'
            "EOF\n"
            f'aws iam put-role-policy --role-name "$ROLE" --policy-name {action.replace(":", "-")} \\\n'
            "  --policy-document file://policy.json\n"
        )
    return allowed + str(page.get("fix", ""))


def _named(text: str) -> set[str]:
    return set(re.findall(r"\$\{?([A-Z][A-Z_]*)", text))


@cache
def _pages(name: str) -> Mapping[str, Mapping[str, Any]]:
    return _read(name)


def _read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
    return loaded


def of_groups(groups: Iterable[str]) -> list[Article]:
    """The articles of any of ``groups``."""
    wanted = set(groups)
    return [article for article in articles() if wanted & set(article.groups)]
