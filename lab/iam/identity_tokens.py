"""Web identity tokens, verified with the keys that their issuer publishes: for STS and for EKS Pod Identity."""

from __future__ import annotations

from jwt import PyJWKSet

from lab.iam import web_identity
from lab.iam.errors import ServiceError
from lab.iam.issuer_keys import IssuerAnswerError, IssuerKeys, IssuerUnreachableError
from lab.iam.store import Store
from lab.iam.web_identity import Claims


class IdentityTokens:
    """Knows the registered issuers."""

    def __init__(self, store: Store, keys: IssuerKeys) -> None:
        self._store = store
        self._keys = keys

    async def verify(self, token: str) -> Claims:
        """The claims of a token that a registered issuer signed; audience and expiry are not looked at.

        Raises `ServiceError` as STS words it.
        """
        claims = web_identity.unverified_claims(token)
        if claims.issuer not in self._store.state.oidc_providers:
            raise web_identity.invalid_token(f"No OpenIDConnect provider found in your account for {claims.issuer}")
        try:
            keys = await self._issuer_keys(claims)
        except IssuerUnreachableError as error:
            text = "Unable to contact the identity provider to verify the web identity token"
            raise ServiceError(400, "IDPCommunicationError", text, str(error)) from error
        except IssuerAnswerError as error:
            raise web_identity.no_key(str(error)) from error
        web_identity.verify_signature(token, claims, keys)
        return claims

    async def _issuer_keys(self, claims: Claims) -> PyJWKSet:
        if self._store.state.faults.identity_provider_unreachable:
            self._keys.forget()
            raise IssuerUnreachableError("fault identity_provider_unreachable")
        return await self._keys.read(claims.issuer, claims.key_id)
