"""Tokens that are signatures: local computing, no call to AWS."""

from __future__ import annotations

from dataclasses import dataclass, field

from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, EnvProvider

RDS_LIFETIME = 900
"""Seconds in which an RDS token opens connections; open ones live on."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """Credentials at one moment; the secret parts are not in its ``repr``. Reads like botocore's own frozen value."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)


def msk(credentials: Frozen, region: str) -> tuple[str, int]:
    """(token for SASL/OAUTHBEARER, when it expires in milliseconds since the epoch). About 15 ms."""
    # The signer wants one of botocore's providers; by itself it would start a session and call STS for every token.
    provider = EnvProvider(
        environ={
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_SESSION_TOKEN": credentials.token or "",
        }
    )
    token, expires = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(region, provider)
    return token, expires


def rds(credentials: Frozen, region: str, *, host: str, port: int, user: str) -> str:
    """The password for an IAM login, as ``generate_db_auth_token`` makes it, without loading the client of all RDS.

    It is a presigned URL without its scheme; the database must see exactly this host, port and user.
    """
    signing = Credentials(credentials.access_key, credentials.secret_key, credentials.token)
    request = AWSRequest(method="GET", url=f"https://{host}:{port}/", params={"Action": "connect", "DBUser": user})
    SigV4QueryAuth(signing, "rds-db", region, expires=RDS_LIFETIME).add_auth(request)
    return str(request.prepare().url).removeprefix("https://")
