"""Resources read from YAML without an API server: the CRD's rules in Python, each refusal naming the field.

A test compares every rule with `crds/connectivitytests.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails

from connectivity_operator.errors import ConnectivityError
from connectivity_operator.resource import GROUP, KIND, VERSION, ResourceSpec, parse_spec


class ResourceFileError(ConnectivityError):
    """A file does not hold what it should; the text names the place, the field and the rule."""


@dataclass(frozen=True, slots=True)
class Named:
    """A resource's spec and whose it is."""

    namespace: str | None
    """None: the file does not say."""
    name: str
    spec: ResourceSpec

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def named(body: Mapping[str, Any]) -> Named:
    """Of a resource that keeps the rules."""
    metadata = body.get("metadata") or {}
    return Named(metadata.get("namespace"), metadata.get("name") or "without a name", parse_spec(body["spec"]))


def resources(text: str, source: str) -> list[Named]:
    """Every ConnectivityTest in ``text``, other kinds left out. Raises `ResourceFileError`."""
    try:
        documents = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: the thirteenth month, for example
        raise ResourceFileError(f"{source}: not YAML{_place(error)}") from error
    return [_checked(body, source) for document in documents for body in _resources(document)]


def spec(text: str, source: str) -> ResourceSpec:
    """The spec of the one ConnectivityTest in ``text``. Raises `ResourceFileError` for none and for more."""
    found = resources(text, source)
    if len(found) != 1:
        raise ResourceFileError(f"{source}: expected exactly one {KIND}, found {len(found) or 'none'}")
    return found[0].spec


def refusal(kind: Literal["topic", "index", "model"], name: str) -> str | None:
    """Why a resource could not name this topic, index or model; None: it could."""
    try:
        _NAMES[kind].validate_python(name)
    except ValidationError as error:
        (details, *_) = error.errors(include_url=False)
        return _problem({**details, "loc": (f"the name of the {kind}",)})
    return None


def _resources(document: object) -> Iterator[Mapping[str, Any]]:
    """The resources in one document; several come out of `kubectl get -o yaml` as a List."""
    if isinstance(document, dict):
        if document.get("kind") == KIND:
            yield document
        elif document.get("kind") == "List" and isinstance(document.get("items"), list):
            for item in document["items"]:
                yield from _resources(item)


def _checked(body: Mapping[str, Any], source: str) -> Named:
    try:
        _Resource.model_validate(body)
    except ValidationError as error:
        problems = "; ".join(_problem(details) for details in error.errors(include_url=False))
        raise ResourceFileError(f"{source}: {problems}") from None
    return named(body)


def _topic(name: str) -> str:
    if name in (".", ".."):
        raise ValueError("a topic cannot be named . or ..")
    if name.startswith("__"):
        raise ValueError("internal topics (__*) cannot be consumed")
    return name


def _distinct(topics: list[str]) -> list[str]:
    if doubles := sorted({topic for topic in topics if topics.count(topic) > 1}):
        raise ValueError(f"{', '.join(doubles)} is listed more than once")
    return topics


_Topic = Annotated[str, Field(min_length=1, max_length=249, pattern=r"^[a-zA-Z0-9._-]{1,249}$"), AfterValidator(_topic)]


_Index = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
_Model = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._:/-]*$")]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    topics: Annotated[list[_Topic], Field(min_length=1, max_length=16), AfterValidator(_distinct)]
    index: _Index
    model: _Model | None = None
    dimensions: Annotated[int | None, Field(ge=1, le=16000)] = None
    startFrom: Literal["Latest", "Earliest"] = "Latest"  # noqa: N815 (as in the resource)
    intervalSeconds: Annotated[int, Field(ge=10, le=3600)] = 60  # noqa: N815
    timeoutSeconds: Annotated[int, Field(ge=1, le=120)] = 10  # noqa: N815
    suspend: bool = False

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.timeoutSeconds >= self.intervalSeconds:
            raise ValueError("timeoutSeconds must be less than intervalSeconds")
        return self


class _Metadata(BaseModel):
    """Everything else in it is the API server's business."""

    name: Annotated[str, Field(max_length=63)] = ""


class _Resource(BaseModel):
    apiVersion: Literal["connectivity.hyperoptic.com/v1alpha1"]  # noqa: N815
    metadata: _Metadata = _Metadata()
    spec: _Spec


def _problem(details: ErrorDetails) -> str:
    """The field and its rule, of one of pydantic's findings."""
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in details["loc"]).lstrip(".")
    context = details.get("ctx", {})
    match details["type"]:
        case "missing":
            return f"{field} is required"
        case "extra_forbidden":
            return f"{field} is not a field of a {KIND}; known are {', '.join(_Spec.model_fields)}"
        case "value_error":
            return f"{field}: {context['error']}"
        case "literal_error" if field == "apiVersion":
            return f"apiVersion must be {GROUP}/{VERSION}"
        case "literal_error":
            return f"{field} is {details['input']!r} and must be {context['expected']}"
        case "string_pattern_mismatch":
            return f"{field} is {details['input']!r} and must match {context['pattern']}"
        case "string_type" | "int_type" | "bool_type" | "list_type" | "model_type" | "int_from_float":
            return f"{field} must be {_TYPES[details['type']]}"
        case _:
            return f"{field}: {details['msg'][0].lower()}{details['msg'][1:]}"


_NAMES: dict[str, TypeAdapter[str]] = {
    "topic": TypeAdapter(_Topic), "index": TypeAdapter(_Index), "model": TypeAdapter(_Model),
}  # fmt: skip

_TYPES = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "a mapping",
}


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
