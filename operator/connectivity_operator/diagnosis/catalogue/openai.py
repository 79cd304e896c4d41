"""Reasons of the OpenAI-compatible embeddings API."""

from __future__ import annotations

from connectivity_operator.diagnosis.catalogue.entry import Entry, Healer, Variant
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.reasons import Reason, Rung

_WRITE = 'printf %s "$KEY" | kubectl -n {namespace} create secret generic <name> --from-file=api-key=/dev/stdin'

ENTRIES = (
    Entry(
        Reason.API_KEY_MISSING, Rung.CONFIGURATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "There is no OpenAI API key ({variable})[[: {detail}]].",
        "Set OPENAI_API_KEY or OPENAI_API_KEY_FILE.",
        (
            Variant(
                "path",
                message="There is no OpenAI API key in {path} ({variable}): {detail}.",
                remedy="Put the key into the Secret that is mounted there (the chart: connectivity-operator-openai, "
                f"key api-key): {_WRITE}  With External Secrets: kubectl -n {{namespace}} describe externalsecret",
            ),
        ),
    ),
    Entry(
        Reason.API_KEY_MALFORMED, Rung.CONFIGURATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "The OpenAI API key from {variable} cannot be sent[[: {detail}]].",
        f"Write the value without blanks, quotes and line breaks, for example: {_WRITE}",
    ),
    Entry(
        Reason.API_KEY_INVALID, Rung.AUTHENTICATION, Kind.REFUSED, Healer.PROVIDER,
        "{host} does not accept the API key.",
        "Make a new key and put it into the Secret (OpenAI: https://platform.openai.com/api-keys); a mounted file is "
        "read again without a restart.",
    ),
    Entry(
        Reason.API_KEY_RESTRICTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.PROVIDER,
        "{host} knows the API key, but the key may not use this endpoint.",
        "Give the key the permission for embeddings (https://platform.openai.com/api-keys, edit the key, Model "
        "capabilities: Write), or use another key.",
    ),
    Entry(
        Reason.IP_NOT_ALLOWED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.PROVIDER,
        "The API key may not be used from the address that the pod's traffic comes from.",
        "Add the cluster's egress addresses (NAT gateways) to the project's IP allow list.",
    ),
    Entry(
        Reason.ORGANIZATION_MISMATCH, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "{host} knows the API key, but {variable} names another organization or project than the key's.",
        "Remove {variable} from the operator's environment (a key implies both), or set it to the key's own, and "
        "restart the operator.",
    ),
    Entry(
        Reason.MODEL_ACCESS_DENIED, Rung.AUTHORIZATION, Kind.REFUSED, Healer.PROVIDER,
        "The key's project may not use the model {model}.",
        "Allow {model} in the project's limits (https://platform.openai.com/settings, the project, Limits), or name "
        "another model in spec.model.",
    ),
    Entry(
        Reason.MODEL_NOT_FOUND, Rung.AUTHORIZATION, Kind.REFUSED, Healer.RESOURCE,
        "The model {model} does not exist at {host}, or the key's project may not see it.",
        "Correct spec.model (or OPENAI_EMBEDDING_MODEL), for example text-embedding-3-small; if the name is right, "
        "allow it in the project's limits.",
    ),
    Entry(
        Reason.REGION_NOT_SUPPORTED, Rung.AUTHENTICATION, Kind.REFUSED, Healer.NETWORK,
        "{host} refuses requests from the country or region that the pod's traffic comes from.",
        "Send the traffic out through a supported region, by HTTPS_PROXY for example.",
    ),
    Entry(
        Reason.WRONG_BASE_URL, Rung.AUTHENTICATION, Kind.REFUSED, Healer.DEPLOYMENT,
        "{host} answers, but there is no OpenAI API at OPENAI_BASE_URL[[ ({detail})]].",
        "Set OPENAI_BASE_URL to the API's root, such as https://api.openai.com/v1 (with its path, without "
        "/embeddings).",
    ),
    Entry(
        Reason.QUOTA_EXHAUSTED, Rung.OPERATION, Kind.REFUSED, Healer.PROVIDER,
        "The OpenAI account has no quota left[[ ({detail})]].",
        "Add credit, or raise the budget, at https://platform.openai.com/settings/organization/billing (the project's "
        "own budget is in its Limits); waiting does not help.",
    ),
    Entry(
        Reason.RATE_LIMITED, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "{host} limits the rate of requests (HTTP 429), and the quota is not used up.",
        "Passes by itself, messages wait; if it lasts, lower maxMessagesPerMinute in the policy or raise the limit "
        "(https://platform.openai.com/settings/organization/limits).",
    ),
    Entry(
        Reason.INPUT_REJECTED, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "The API refuses the text that is embedded.",
        "Look at the ERROR rows: SELECT kafka_topic, kafka_partition, kafka_offset FROM demo_log WHERE log_level = "
        "'ERROR' ORDER BY id DESC LIMIT 20;",
    ),
    Entry(
        Reason.INVALID_RESPONSE, Rung.OPERATION, Kind.REFUSED, Healer.PROVIDER,
        "{host} answers with something that is no embedding[[: {detail}]].",
        "Check OPENAI_BASE_URL and that {model} is an embedding model.",
    ),
    Entry(
        Reason.DIMENSION_MISMATCH, Rung.OPERATION, Kind.REFUSED, Healer.RESOURCE,
        "The model {model} does not give vectors of {expected_dimensions} dimensions[[: it gives {dimensions}]].",
        "Remove spec.dimensions or set what {model} can do (text-embedding-3-small: at most 1536, -3-large: 3072, "
        "ada-002: 1536 fixed).",
    ),
    Entry(
        Reason.REQUEST_TIMEOUT, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "{host} did not answer within {limit} s, although the connection stands.",
        "Passes by itself if the API is slow; otherwise raise spec.timeoutSeconds or look at the proxy.",
    ),
    Entry(
        Reason.SERVICE_UNAVAILABLE, Rung.OPERATION, Kind.TRANSIENT, Healer.TIME,
        "The API answers with an error of its own[[ (HTTP {status})]].",
        "Passes by itself; see the provider's status page (https://status.openai.com) if it lasts.",
    ),
)  # fmt: skip
