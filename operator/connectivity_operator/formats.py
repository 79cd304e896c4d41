"""How values of environment variables are written: addresses, URLs, names.

Each function takes the text of one variable and gives the value, or raises `ValueError` with a text for the
person who deploys the operator: what is wrong and what to write instead. A user and password in a URL are
not repeated in that text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_KUBERNETES_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_KEY = r"([A-Za-z0-9][A-Za-z0-9.-]*/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
_LABEL_VALUE = r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?"
_SELECTOR = re.compile(
    rf"(!?{_LABEL_KEY}|{_LABEL_KEY}\s*(=|==|!=)\s*{_LABEL_VALUE}"
    rf"|{_LABEL_KEY}\s+(in|notin)\s+\(\s*{_LABEL_VALUE}(\s*,\s*{_LABEL_VALUE})*\s*\))"
)
_EXAMPLE_BROKER = "b-1.demo.a1b2c3.c2.kafka.eu-west-2.amazonaws.com:9098"


def text(value: str) -> str:
    """Without blanks around it. Quotes around it are refused: they come from tools that do not remove them."""
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        raise ValueError("has quotes around it that belong to the value; remove them (env files are no shell)")
    return value


def listed(value: str) -> tuple[str, ...]:
    """The items of a comma-separated list, in order, without empty ones."""
    return tuple(item.strip() for item in value.split(",") if item.strip())


def host(value: str) -> str:
    """A bare host name or IP address (without the brackets of IPv6)."""
    if "://" in value:
        raise ValueError(
            f"{without_userinfo(value)!r} is a URL; write the host name alone, without {value.partition('://')[0]}://"
        )
    if "/" in value:
        raise ValueError(f"{without_userinfo(value)!r} has a path; write the host name alone")
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        pass
    else:
        if address.is_unspecified:
            raise ValueError(f"{bare} is an address to listen on, not one to connect to; write the server's name")
        return bare
    if ":" in bare:
        raise ValueError(f"{without_userinfo(value)!r} has a port; write the host name alone")
    name = bare.removesuffix(".")
    if not name or len(name) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"{without_userinfo(value)!r} is not a host name")
    return bare


def host_and_port(value: str, *, example: str) -> str:
    """``host:port``, IPv6 addresses in brackets; the port 1 to 65535."""
    if "://" in value:
        raise ValueError(f"{without_userinfo(value)!r} is a URL; write host:port, for example {example}")
    name, colon, port = value.rpartition(":")
    if not colon or (":" in name and not name.startswith("[")):
        raise ValueError(f"{without_userinfo(value)!r} has no port; write host:port, for example {example}")
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f"{without_userinfo(value)!r} has the port {port!r}; a port is a number from 1 to 65535")
    bare = host(name)
    return f"[{bare}]:{int(port)}" if ":" in bare else f"{bare}:{int(port)}"


def bootstrap_servers(value: str) -> tuple[str, ...]:
    """``host:port,host:port`` as `aws kafka get-bootstrap-brokers` prints them."""
    servers = listed(value)
    problems = []
    for server in servers:
        try:
            host_and_port(server, example=_EXAMPLE_BROKER)
        except ValueError as problem:
            problems.append(str(problem))
    if problems:
        raise ValueError("; ".join(problems))
    return tuple(host_and_port(server, example=_EXAMPLE_BROKER) for server in servers)


def origin(value: str) -> str:
    """``https://host`` or ``https://host:port``: an endpoint without path."""
    parts = _url(value, schemes=("https",))
    if parts.path.strip("/"):
        raise ValueError(
            f"{without_userinfo(value)!r} has the path {parts.path!r}; the endpoint is https://<host> without a path"
        )
    return f"https://{_netloc(parts)}"


def base_url(value: str) -> str:
    """An ``http(s)://`` URL, with or without path, without a slash at its end."""
    parts = _url(value, schemes=("https", "http"))
    return f"{parts.scheme}://{_netloc(parts)}{parts.path.rstrip('/')}"


def proxy(value: str) -> str:
    """A proxy's URL; ``host:port`` alone means ``http://host:port``, as it does for curl."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port
    except ValueError as error:
        raise ValueError("is not a URL; write http://<host>:<port>") from error
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"has the scheme {parts.scheme!r}; HTTP proxies only: write http://<host>:<port>")
    if not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("is not the address of a proxy; write http://<host>:<port>")
    host(parts.hostname)
    default = 443 if parts.scheme == "https" else 80
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{user}{name}:{port or default}"


def without_userinfo(url: str) -> str:
    """The same URL without user and password, for showing."""
    return re.sub(r"^(\w+://)?.*@", r"\1", url)


def kubernetes_name(value: str) -> str:
    """The name of a namespace (a DNS label)."""
    if any(c in value for c in "*?["):
        raise ValueError(f"{value!r} is a pattern; name each namespace (none: all of the cluster)")
    if not _KUBERNETES_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a name in Kubernetes: lower-case letters, digits and '-', at most 63")
    return value


def label_selector(value: str) -> str:
    """A label selector as `kubectl -l` takes it, for example ``team=search,tier in (a, b),!paused``."""
    for requirement in (part.strip() for part in re.split(r",(?![^(]*\))", value)):
        if not _SELECTOR.fullmatch(requirement):
            raise ValueError(f"{requirement!r} is no label selector; write it as for `kubectl -l`: team=search")
    return value


def matching(value: str, pattern: str, *, what: str, example: str) -> str:
    """The value if the whole of it matches ``pattern``."""
    if not re.fullmatch(pattern, value):
        raise ValueError(f"{value!r} is not {what}; an example: {example}")
    return value


def one_of(value: str, choices: Iterable[str]) -> str:
    """The one of ``choices`` that equals the value, whatever its case."""
    known = {choice.lower(): choice for choice in choices}
    if value.lower() not in known:
        raise ValueError(f"{value!r} is unknown; write one of {', '.join(known.values())}")
    return known[value.lower()]


def _url(value: str, *, schemes: tuple[str, ...]) -> SplitResult:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 (reading it is what checks it)
    except ValueError as error:
        raise ValueError(f"{without_userinfo(value)!r} is not a URL; a port is a number from 1 to 65535") from error
    if parts.scheme not in schemes or not parts.hostname:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(f"{without_userinfo(value)!r} does not begin with {wanted}; write {schemes[0]}://<host>")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("holds a user, a query or a fragment; write scheme, host and path only")
    host(parts.hostname)
    return parts


def _netloc(parts: SplitResult) -> str:
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    return name if parts.port is None else f"{name}:{parts.port}"
