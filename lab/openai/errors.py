"""OpenAI's refusals, word for word as its users report them."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """Answered as HTTP status and ``{"error": {message, type, param, code}}``."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def missing_key() -> ApiError:
    """No Authorization header, or not of the Bearer kind."""
    return ApiError(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing "
        "the API from your browser and are prompted for a username and password. You can obtain an API key from "
        "https://platform.openai.com/account/api-keys.",
    )


def invalid_key(key: str) -> ApiError:
    """A key that the server does not know; shown masked, as OpenAI does."""
    shown = key if len(key) <= 8 else key[:8] + "*" * max(len(key) - 12, 0) + key[-4:]
    return ApiError(
        401,
        f"Incorrect API key provided: {shown}. "
        "You can find your API key at https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    )


def mismatched(what: str) -> ApiError:
    """A header names another organization or project than the key's. Source: openai/codex issue 1000."""
    text = f"OpenAI-{what} header should match {what.lower()} for API key"
    return ApiError(401, text, code=f"mismatched_{what.lower()}")


def model_not_found(name: str) -> ApiError:
    """A model that does not exist, or not for this key."""
    return ApiError(404, f"The model `{name}` does not exist or you do not have access to it.", code="model_not_found")


def invalid_url(method: str, path: str) -> ApiError:
    """A path that the API does not have: a base URL without ``/v1``, for one."""
    return ApiError(404, f"Invalid URL ({method} {path})")


def not_json() -> ApiError:
    """A body that does not parse."""
    return ApiError(
        400,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
        "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have "
        "trouble figuring out how to fix this, please contact us through our help center at help.openai.com.)",
    )


def input_invalid() -> ApiError:
    """An empty string, an empty array or something that is no text: OpenAI does not say which."""
    return ApiError(
        400, "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
    )


def too_many_inputs(count: int, limit: int) -> ApiError:
    """More inputs than a request may have."""
    return ApiError(
        400,
        f"Invalid 'input': array too long. Expected an array with maximum length {limit}, "
        f"but got an array with length {count} instead.",
        code="array_above_max_length",
        param="input",
    )


def input_too_long(tokens: int, limit: int) -> ApiError:
    """One input has more tokens than the model reads."""
    return ApiError(
        400,
        f"This model's maximum context length is {limit} tokens, however you requested {tokens} tokens "
        f"({tokens} in your prompt; 0 for the completion). Please reduce your prompt; or completion length.",
    )


def too_many_tokens(tokens: int, limit: int) -> ApiError:
    """All inputs together have more tokens than a request may have."""
    return ApiError(
        400,
        f"Requested {tokens} tokens, max {limit} tokens per request",
        code="max_tokens_per_request",
        kind="max_tokens_per_request",
    )


def dimensions_not_supported() -> ApiError:
    """text-embedding-ada-002 has one length only."""
    return ApiError(400, "This model does not support specifying dimensions.")


def too_many_dimensions(asked: int, limit: int) -> ApiError:
    """More than the model has."""
    return ApiError(
        400, f"Invalid value for 'dimensions' = {asked}. Must be less than or equal to {limit}.", param="dimensions"
    )
