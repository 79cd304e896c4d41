"""Faults of the pod's web identity token: its file goes missing, stale or bad, as when the projection fails."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab import world
from lab.faults.fault import Fault
from lab.kubernetes import access
from lab.kubernetes.identities import OPERATOR, issue

SERVICE_ACCOUNT_KEY = access.FOLDER / "service-accounts.key"
"""The API server signs ServiceAccounts' tokens by it."""


def _withhold() -> None:
    OPERATOR.withheld.touch()


def _remove() -> None:
    _withhold()
    if OPERATOR.aws_token.is_dir():
        shutil.rmtree(OPERATOR.aws_token)
    OPERATOR.aws_token.unlink(missing_ok=True)


def _give_back() -> None:
    _remove()
    issue(OPERATOR)
    OPERATOR.withheld.unlink()


def _make_folder() -> None:
    _remove()
    OPERATOR.aws_token.mkdir()


def _write(token: Callable[[], str]) -> Callable[[], None]:
    def on() -> None:
        _remove()
        access.write_private(OPERATOR.aws_token, token())

    return on


def _signed(*, issuer: str = world.KUBERNETES_ISSUER, ends: float = 3600, own_key: bool = True) -> str:
    """A token like the operator's own. ``ends``: seconds from now; ``own_key``: the API server's."""
    now = time.time()
    claims = {
        "iss": issuer,
        "sub": f"system:serviceaccount:{world.OPERATOR_NAMESPACE}:{world.OPERATOR_SERVICE_ACCOUNT}",
        "aud": [world.TOKEN_AUDIENCE],
        "iat": int(now - 86400),
        "exp": int(now + ends),
    }
    genuine = access.token(world.OPERATOR_SERVICE_ACCOUNT, audience=world.TOKEN_AUDIENCE, duration="10m")
    key_id = jwt.get_unverified_header(genuine)["kid"]
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = SERVICE_ACCOUNT_KEY.read_bytes() if own_key else foreign.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip
    return jwt.encode(claims, pem, algorithm="RS256", headers={"kid": key_id})


def _for_other_audience() -> str:
    return access.token(world.OPERATOR_SERVICE_ACCOUNT, audience="vault", duration="10m")


def _token(what: str, summary: str, on: Callable[[], None]) -> Fault:
    return Fault(f"identity-token-{what}", summary, on, _give_back)


FAULTS = (
    _token("missing", "remove the token's file", _remove),
    _token("unreadable", "put a folder where the token's file was", _make_folder),
    _token("garbled", "write something else than a token into its file", _write(lambda: "no token at all")),
    _token("stale", "write a token that ended an hour ago into its file", _write(lambda: _signed(ends=-3600))),
    _token("forged", "write a token that somebody else signed into its file", _write(lambda: _signed(own_key=False))),
    _token("of-another-audience", "write a token for another audience into its file", _write(_for_other_audience)),
    _token(
        "of-another-cluster",
        "write a token of an issuer that the account does not know into its file",
        _write(lambda: _signed(issuer="https://oidc.eks.eu-west-2.amazonaws.com/id/0000")),
    ),
)
