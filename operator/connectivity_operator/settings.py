"""The operator's settings: one frozen value, read from the environment once, before anything starts.

Every problem is reported at once, by the name of its variable, as `SettingsError`. That a *dependency* is not
configured is no problem here: its ladder says `NotConfigured`, and the operator runs. An empty variable is
an absent one; unknown variables are other people's. The AWS SDK reads its own (`AWS_ROLE_ARN` …) by itself.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from connectivity_operator import formats
from connectivity_operator.errors import SettingsError

KafkaProtocol = Literal["SASL_SSL", "SSL", "PLAINTEXT"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

REGION = r"[a-z]{2}(-[a-z]+)+-\d"
MODEL = r"[a-zA-Z0-9][a-zA-Z0-9._:/-]{0,127}"
_CLUSTER_ARN = r"arn:aws[a-z-]*:kafka:[a-z0-9-]+:\d{12}:cluster/[^/\s]+/[^/\s]+"
_RESOURCE_ID = r"(db|cluster|prx)-[A-Za-z0-9]+"
_EXAMPLE_CLUSTER_ARN = "arn:aws:kafka:eu-west-2:111122223333:cluster/demo/0d9c8b7a-6f5e-4d3c-2b1a-998877665544-2"


def _read(parse: Callable[[str], object]) -> BeforeValidator:
    """Parse a variable's text; a value that is typed already (a test's, a default) is left alone."""
    return BeforeValidator(lambda value: parse(formats.text(value)) if isinstance(value, str) else value)


def _matching(pattern: str, what: str, example: str) -> BeforeValidator:
    return _read(lambda value: formats.matching(value, pattern, what=what, example=example))


def _one_of(choices: object) -> BeforeValidator:
    return _read(lambda value: formats.one_of(value, typing.get_args(choices)))


Text = Annotated[str, _read(str)]
Host = Annotated[str, _read(formats.host)]
BaseURL = Annotated[str, _read(formats.base_url)]
Name = Annotated[str, _read(formats.kubernetes_name)]
Port = Annotated[int, _read(str), Field(ge=1, le=65535)]
File = Annotated[Path, _read(Path)]
Flag = Annotated[bool, _read(str)]
Region = Annotated[str, _matching(REGION, "an AWS region", "eu-west-2")]
Model = Annotated[str, _matching(MODEL, "a model's name", "text-embedding-3-small")]
ClusterArn = Annotated[str, _matching(_CLUSTER_ARN, "an MSK cluster's ARN", _EXAMPLE_CLUSTER_ARN)]
ResourceId = Annotated[str, _matching(_RESOURCE_ID, "a DbiResourceId", "db-ABCDEFGHIJKL0123456789MNOP")]
CollectionName = Annotated[str, _matching(r"[a-z][a-z0-9-]{2,31}", "a collection's name", "demo")]
Names = Annotated[tuple[str, ...], NoDecode, _read(lambda v: tuple(map(formats.kubernetes_name, formats.listed(v))))]


class Settings(BaseSettings):
    """Field ``kafka_bootstrap_servers`` is the variable ``KAFKA_BOOTSTRAP_SERVERS``, and so on for all of them.

    ``Settings(...)`` takes values and looks at no environment; ``Settings.load()`` reads one.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    # Kafka
    kafka_bootstrap_servers: Annotated[tuple[str, ...], NoDecode, _read(formats.bootstrap_servers)] = ()
    """``host:port`` each; empty: not configured."""
    kafka_security_protocol: Annotated[KafkaProtocol, _one_of(KafkaProtocol)] = "SASL_SSL"
    """``SASL_SSL`` is MSK IAM; the others are brokers without IAM."""
    kafka_max_poll_interval_ms: Annotated[int, _read(str), Field(ge=1000)] = 300_000
    """A consumer that does not poll for so long is expelled from its group."""
    kafka_cluster_arn: ClusterArn | None = None

    # PostgreSQL
    postgres_host: Host | None = None
    postgres_port: Port = 5432
    postgres_db: Text | None = None
    postgres_user: Text | None = None
    postgresql_use_iam_auth: Flag = True
    """True: an RDS IAM token is the password; False: ``postgres_password`` is."""
    postgres_password: SecretStr | None = None
    postgres_ca_file: File | None = None
    """The RDS bundle: RDS certificates are signed by Amazon's private CAs. May appear after the start."""
    postgres_resource_id: ResourceId | None = None
    """Of the instance, the Aurora cluster or the RDS proxy."""

    # OpenSearch
    opensearch_endpoint: Annotated[str, _read(formats.origin)] | None = None
    """``https://host`` or ``https://host:port``."""
    opensearch_use_iam_auth: Flag = True
    opensearch_service: Annotated[Literal["aoss", "es"], _one_of(Literal["aoss", "es"])] = "aoss"
    opensearch_collection_name: CollectionName | None = None

    # OpenAI. Secrets are kept as they came: a blank or a line break in a key is a finding of the diagnosis.
    openai_api_key: SecretStr | None = None
    openai_api_key_file: File | None = None
    """Wins over ``openai_api_key`` and is read again when it changes; may appear after the start."""
    openai_base_url: BaseURL = "https://api.openai.com/v1"
    openai_embedding_model: Model = "text-embedding-3-small"

    # AWS and the network
    aws_region: Region | None = None
    extra_ca_file: File | None = None
    """Trusted beside the system's certificates, for every TLS connection. May appear after the start."""
    https_proxy: Annotated[str, _read(formats.proxy)] | None = Field(default=None, repr=False)
    """``http://[user:password@]host:port``: may hold a password, never shown whole."""
    no_proxy: Text | None = None
    """Comma-separated, as written."""

    # The operator
    watch_namespaces: Names = ()
    """Empty: all."""
    watch_label_selector: Annotated[str, _read(formats.label_selector)] | None = None
    policy_file: File | None = None
    operator_namespace: Name = "default"
    operator_name: Name = "connectivity-operator"
    metrics_port: Annotated[int, _read(str), Field(ge=0, le=65535)] = 9090
    """0: no metrics."""
    health_port: Port = 8080
    log_level: Annotated[LogLevel, _one_of(LogLevel)] = "INFO"
    log_format: Annotated[Literal["json", "console"], _one_of(Literal["json", "console"])] = "json"
    runbooks_url: BaseURL | None = None
    """None: no runbook links."""

    @field_validator("health_port")
    @classmethod
    def _ports_differ(cls, value: int, info: typing.Any) -> int:
        if value == info.data.get("metrics_port"):
            raise ValueError(f"{value} is METRICS_PORT's too; give them different ports")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values only: the environment is read in `load`, so that a `Settings` of a test is what it says."""
        return (init_settings,)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """From ``environ`` (default: the process's). Raises `SettingsError` with every problem."""
        try:
            return cls(**_Environment(cls, os.environ if environ is None else environ)())
        except ValidationError as error:
            raise SettingsError([_problem(details) for details in error.errors(include_url=False)]) from None

    @classmethod
    def variables(cls) -> tuple[str, ...]:
        """The names of all variables that are read."""
        return tuple(name.upper() for name in cls.model_fields)

    def visible(self) -> dict[str, object]:
        """Every setting but the secrets, of which only is said whether they are set; plain values for the log."""
        shown = {name: _shown(getattr(self, name)) for name in type(self).model_fields}
        if self.https_proxy:
            shown["https_proxy"] = formats.without_userinfo(self.https_proxy)
        return shown


class _Environment(EnvSettingsSource):
    """pydantic-settings' own reading of variables, of a mapping that is given instead of `os.environ`."""

    def __init__(self, settings: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings)
        # Upper case wins where both spellings are set (`https_proxy` and `HTTPS_PROXY`).
        lower = {name.lower(): value for name, value in sorted(environ.items(), reverse=True) if value.strip()}
        self.env_vars = lower


def _shown(value: object) -> object:
    match value:
        case SecretStr():
            return "(set)"
        case Path():
            return str(value)
        case tuple():
            return list(value)
        case _:
            return value


def _problem(details: ErrorDetails) -> tuple[str, str]:
    """(variable, what is wrong and what to write instead) of one of pydantic's findings."""
    variable = str(details["loc"][0]).upper()
    context = details.get("ctx", {})
    match details["type"]:
        case "value_error":
            return variable, str(context["error"])
        case "bool_parsing" | "bool_type":
            return variable, "is neither true nor false; write true or false"
        case "int_parsing" | "int_type" | "int_from_float":
            return variable, "is not a whole number"
        case "greater_than_equal":
            return variable, f"is too small; write a number from {context['ge']}"
        case "less_than_equal":
            return variable, f"is too large; write a number up to {context['le']}"
        case _:
            return variable, details["msg"]
