"""An AWS identity that is set by hand."""

from __future__ import annotations

from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Caller
from connectivity_operator.reasons import Reason, Service

ROLE_ARN = "arn:aws:iam::111122223333:role/connectivity-test"
CALLER_ARN = "arn:aws:sts::111122223333:assumed-role/connectivity-test/connectivity-operator"


class FakeIdentity:
    """Implements `ports.Identity`. Assign a failure to have it raised."""

    def __init__(self, method: str = "WebIdentity", *, endpoint: str = "sts.eu-west-2.amazonaws.com") -> None:
        self.answer = Caller(CALLER_ARN, method, 0.0, endpoint)
        self.credentials_failure: DependencyError | None = None
        self.caller_failure: DependencyError | None = None
        self.failing_refresh: DependencyError | None = None

    async def ensure_credentials(self) -> str:
        if self.credentials_failure:
            raise self.credentials_failure
        return self.answer.method

    def refresh_failure(self) -> DependencyError | None:
        return self.failing_refresh

    def endpoint(self) -> str:
        return self.answer.endpoint

    async def caller(self) -> Caller:
        if self.caller_failure:
            raise self.caller_failure
        return self.answer


def identity_error(reason: Reason, **evidence: str) -> DependencyError:
    return DependencyError(Service.IDENTITY, reason, evidence=evidence)
