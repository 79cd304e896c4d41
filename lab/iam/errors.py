"""Refusals of an AWS service as its clients see them."""

from __future__ import annotations

SIGNATURE_MISMATCH_TEXT = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class ServiceError(Exception):
    """Answered to the client as HTTP status, code and message; ``reason`` goes to the server's log only."""

    def __init__(self, status: int, code: str, message: str, reason: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.reason = reason or message
