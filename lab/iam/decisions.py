"""Decisions for the lab's servers: may this token log in, may this principal do that.

Pure but for the connection counter: state, credentials and the time come in, an answer goes out.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from lab import world
from lab.iam import data_access, sigv4
from lab.iam.credentials import Cause, Credentials, NotAuthenticatedError, authenticate
from lab.iam.defaults import DB_CONNECT_RESOURCE
from lab.iam.policies import Context, Decision, evaluate
from lab.iam.sigv4 import MalformedSignatureError
from lab.iam.state import Role, State, User

KAFKA_SESSION_MAX_SECONDS = 12 * 3600
TOKEN_MAX_SECONDS = 900
"""Neither MSK nor RDS takes a token that claims to be good for longer."""

FindCredentials = Callable[[str], Credentials | None]

_ASSUMED_ROLE = re.compile(rf"arn:aws:sts::{world.ACCOUNT}:assumed-role/(?P<role>[^/]+)/[^/]+")
_USER = re.compile(rf"arn:aws:iam::{world.ACCOUNT}:user/(?P<user>[^/]+)")


@dataclass(frozen=True)
class Account:
    """What a decision is made from."""

    state: State
    find: FindCredentials
    now: float


@dataclass(frozen=True)
class Answer:
    """``reason`` is for the server's log."""

    allowed: bool
    reason: str
    principal: str = ""
    message: str = ""
    """MSK only: what the client is told."""
    expires: float = 0
    """End of the session, epoch seconds by AWS's clock."""
    cause: Cause | None = None
    """Why the signature was not believed; None if it was."""
    api_access: bool = False


def refused(error: NotAuthenticatedError | MalformedSignatureError) -> Answer:
    """The answer to a signature that proves nothing."""
    cause = error.cause if isinstance(error, NotAuthenticatedError) else Cause.MALFORMED
    return Answer(False, str(error), message="Access denied", cause=cause)


def role_arn(principal: str) -> str:
    """The ARN of the role behind an assumed-role session; the principal itself if it is none."""
    match = _ASSUMED_ROLE.fullmatch(principal)
    return f"arn:aws:iam::{world.ACCOUNT}:role/{match['role']}" if match else principal


def authorize(state: State, principal: str, action: str, resource: str) -> Decision:
    """Evaluate the identity policies of the role or user behind a principal."""
    owner: Role | User | None
    if match := _ASSUMED_ROLE.fullmatch(principal):
        owner = state.roles.get(match["role"])
    elif match := _USER.fullmatch(principal):
        owner = state.users.get(match["user"])
    else:
        return Decision(False, f"{principal} is no principal of this account")
    if owner is None:
        return Decision(False, f"the role or user of {principal} does not exist")
    context: Context = {
        "aws:PrincipalArn": role_arn(principal),
        "aws:PrincipalAccount": world.ACCOUNT,
        "aws:RequestedRegion": world.REGION,
        "aws:SecureTransport": "true",
    }
    return evaluate(owner.policies, action, resource, context)


@dataclass
class ConnectRate:
    """MSK's limit on new IAM connections: how many in the last second."""

    _times: deque[float] = field(default_factory=deque)

    def admits(self, limit: int, now: float) -> bool:
        """Count one attempt; False if it is over the limit (0: no limit)."""
        while self._times and not now - 1 < self._times[0] <= now:
            self._times.popleft()
        if limit and len(self._times) >= limit:
            return False
        self._times.append(now)
        return True


def verify_msk(account: Account, rate: ConnectRate, url: str, cluster: str) -> Answer:
    """MSK: the OAUTHBEARER token is a presigned `kafka-cluster:Connect` URL (decoded already)."""
    claim = _Claim("kafka-cluster", f"kafka.{world.REGION}.amazonaws.com", {"Action": "kafka-cluster:Connect"})
    try:
        # The signer appends its User-Agent after signing.
        caller = _token_caller(account, url, claim, unsigned_parameters={"User-Agent"})
    except (NotAuthenticatedError, MalformedSignatureError) as error:
        return refused(error)
    decision = authorize(account.state, caller.principal, "kafka-cluster:Connect", cluster)
    if not decision.allowed:
        return Answer(False, decision.reason, caller.principal, "Access denied")
    faults = account.state.faults
    left = KAFKA_SESSION_MAX_SECONDS if caller.expires is None else caller.expires - account.now
    if left < faults.min_session_seconds:
        return Answer(False, f"the credentials end in {left:.0f} s", caller.principal, "Session too short")
    if not rate.admits(faults.connect_rate, account.now):
        return Answer(
            False, f"more than {faults.connect_rate} connections a second", caller.principal, "Too many connects"
        )
    session = min(left, KAFKA_SESSION_MAX_SECONDS, faults.session_cap_seconds or KAFKA_SESSION_MAX_SECONDS)
    return Answer(True, decision.reason, caller.principal, expires=account.now + session)


def verify_rds(account: Account, token: str, user: str) -> Answer:
    """RDS: the password is a presigned `connect` URL without its scheme, for one endpoint and one database user."""
    claim = _Claim("rds-db", f"{world.POSTGRESQL[0]}:5432", {"Action": "connect", "DBUser": user})
    try:
        caller = _token_caller(account, f"https://{token}", claim)
    except (NotAuthenticatedError, MalformedSignatureError) as error:
        return refused(error)
    decision = authorize(account.state, caller.principal, "rds-db:connect", f"{DB_CONNECT_RESOURCE}/{user}")
    return Answer(decision.allowed, decision.reason, caller.principal)


def verify_aoss(account: Account, request: sigv4.Request) -> Answer:
    """OpenSearch Serverless: signed headers, then `aoss:APIAccessAll` on the collection."""
    try:
        caller = _caller(account, _signed_for_aoss(request), "aoss")
    except (NotAuthenticatedError, MalformedSignatureError) as error:
        return refused(error)
    decision = authorize(account.state, caller.principal, "aoss:APIAccessAll", world.COLLECTION_ARN)
    return Answer(decision.allowed, decision.reason, caller.principal, api_access=decision.allowed)


def authorize_aoss(state: State, principal: str, permission: str, resource: str) -> bool:
    """Evaluate the data access policies for one permission on one `index/<collection>/<index>`."""
    return data_access.allows(state.data_access_policies, (principal, role_arn(principal)), permission, resource)


def caller_of(account: Account, service: str, request: sigv4.Request) -> Credentials:
    """The authenticated caller of an AWS API with signed headers. Raises `NotAuthenticatedError`."""
    try:
        region = endpoint_region(request.headers.get("host", ""))
        return _caller(account, _signed(request), service, region)
    except MalformedSignatureError as error:
        raise NotAuthenticatedError(Cause.MALFORMED, str(error)) from error


def endpoint_region(host: str) -> str:
    """The region that a request to ``sts.<region>.amazonaws.com`` must be signed for; a global name is us-east-1's."""
    labels = host.partition(":")[0].removesuffix(".amazonaws.com").split(".")
    if not host.endswith(".amazonaws.com"):
        return world.REGION
    return labels[1] if len(labels) > 1 else "us-east-1"


@dataclass(frozen=True)
class _Claim:
    """What a presigned token must have been signed for."""

    service: str
    host: str
    parameters: Mapping[str, str]


def _signed(request: sigv4.Request) -> sigv4.Signed:
    if "authorization" not in request.headers:
        raise NotAuthenticatedError(Cause.MISSING)
    return sigv4.from_headers(request)


def _signed_for_aoss(request: sigv4.Request) -> sigv4.Signed:
    """Rules that only Serverless has; source: its developer guide, "Signing HTTP requests with other clients"."""
    signed = _signed(request)
    if "x-amz-content-sha256" not in request.headers:
        raise MalformedSignatureError("x-amz-content-sha256 is missing")
    if "content-length" in signed.signed_headers:
        raise MalformedSignatureError("content-length must not be a signed header")
    # *Assumed*: a signature is for the endpoint's own name, and the front computes it so.
    if request.headers.get("host") != world.OPENSEARCH[0]:
        raise MalformedSignatureError(f"signed for host {request.headers.get('host')}, this is {world.OPENSEARCH[0]}")
    return signed


def _token_caller(
    account: Account, url: str, claim: _Claim, *, unsigned_parameters: Collection[str] = ()
) -> Credentials:
    token = sigv4.presigned(url, unsigned_parameters=unsigned_parameters)
    if token.host != claim.host:
        raise MalformedSignatureError(f"signed for host {token.host}, this is {claim.host}")
    for name, expected in claim.parameters.items():
        if token.parameters.get(name) != expected:
            raise MalformedSignatureError(f"{name} is {token.parameters.get(name)!r}, expected {expected!r}")
    if token.signed.lifetime is None or token.signed.lifetime > TOKEN_MAX_SECONDS:
        raise MalformedSignatureError(f"X-Amz-Expires {token.signed.lifetime}, at most {TOKEN_MAX_SECONDS}")
    return _caller(account, token.signed, claim.service)


def _caller(account: Account, signed: sigv4.Signed, service: str, region: str = world.REGION) -> Credentials:
    return authenticate(signed, account.find(signed.access_key), service=service, region=region, now=account.now)
