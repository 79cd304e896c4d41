"""A company's HTTP proxy, as real as it must be: it opens tunnels by CONNECT, or does one of the things proxies do."""

from __future__ import annotations

from enum import StrEnum

from lab import world


class Manner(StrEnum):
    """What a proxy does with a request for a tunnel."""

    OPEN = "open"
    """It opens it."""
    FORBID = "forbid"
    """403: the host is not on its list."""
    ASK_PASSWORD = "ask-password"
    """407, whatever the password."""
    LOSE = "lose"
    """503: it cannot reach the host itself."""
    SAY_NOTHING = "say-nothing"
    HANG_UP = "hang-up"
    INTERCEPT = "intercept"
    """It opens it, and speaks TLS in the host's place with a certificate of its own authority."""


AUTHORITY = "proxy-ca"
"""Signs what an intercepting proxy shows; nothing in the lab trusts it."""

PORTS = {manner: 3128 + number for number, manner in enumerate(Manner)}


def url(manner: Manner, *, user: str = "") -> str:
    """The proxy of that manner as HTTPS_PROXY names it."""
    return f"http://{user and f'{user}@'}{world.PROXY[0]}:{PORTS[manner]}"
