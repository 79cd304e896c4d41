"""Resources out of files: what ``kubectl apply`` takes, and what ``kubectl get -o yaml`` prints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

import yaml

from connectivity_operator.cli import shell
from connectivity_operator.resource import KIND, ResourceSpec, parse_spec

TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
INDEX = re.compile(r"[a-z0-9][a-z0-9._-]{0,254}")


@dataclass(frozen=True, slots=True)
class Named:
    """A resource's spec, and where it is from."""

    name: str
    namespace: str | None
    """None: the file does not say."""
    spec: ResourceSpec

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def read(file: TextIO) -> list[Named]:
    """Every ConnectivityTest of a file. Raises `shell.Refused` for a file without one, or a malformed one."""
    try:
        documents = list(yaml.safe_load_all(file))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise shell.Refused(
            f"{file.name}{where}: is not YAML ({getattr(error, 'problem', None) or 'unreadable'})"
        ) from error
    except (UnicodeDecodeError, OSError) as error:
        raise shell.Refused(f"{file.name}: cannot be read ({type(error).__name__})") from error
    found = [named(body, file.name) for body in _bodies(documents)]
    if not found:
        raise shell.Refused(f"{file.name}: has no {KIND} in it")
    return found


def named(body: Mapping[str, Any], where: str) -> Named:
    """One resource's body. Raises `shell.Refused` that names the field."""
    metadata = body.get("metadata") or {}
    name = str(metadata.get("name", "<no name>"))
    spec = body.get("spec")
    wrong = _problem(spec)
    if wrong:
        raise shell.Refused(f"{where}: {KIND} {name}: {wrong}")
    try:
        return Named(name, metadata.get("namespace"), parse_spec(spec))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise shell.Refused(f"{where}: {KIND} {name}: spec is wrong: {error}") from error


def _bodies(documents: list[Any]) -> Iterator[Mapping[str, Any]]:
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == KIND:
            yield document
        elif isinstance(document, dict) and str(document.get("kind", "")).endswith("List"):
            yield from _bodies(document.get("items") or [])


def _problem(spec: Any) -> str | None:
    """What of a spec cannot be put into a policy: a name with a wildcard would grant more than it says."""
    if not isinstance(spec, dict):
        return "spec is missing"
    topics = spec.get("topics")
    if not isinstance(topics, list) or not topics:
        return "spec.topics is missing (a list of names)"
    for topic in topics:
        if not isinstance(topic, str) or not TOPIC.fullmatch(topic):
            return f"spec.topics: {topic!r} is not a topic's name (letters, digits, '.', '_', '-')"
    index = spec.get("index")
    if not isinstance(index, str) or not INDEX.fullmatch(index):
        return f"spec.index: {index!r} is not an index's name" if index is not None else "spec.index is missing"
    return None
