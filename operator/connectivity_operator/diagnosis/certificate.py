"""The few facts that a diagnosis wants of a server's certificate, read from its DER form (RFC 5280).

Python hands out a certificate's fields only after it was verified, so for the very certificates that need
explaining (unknown issuer, wrong name, expired) only the raw bytes can be had, and these are read here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_SEQUENCE, _UTC_TIME, _BMP_STRING = 0x30, 0x17, 0x1E
_EXTENSIONS, _DNS_NAME, _IP_ADDRESS = 0xA3, 0x82, 0x87  # context-specific tags [3], [2], [7]
_COMMON_NAME, _ORGANIZATION, _ALTERNATIVE_NAMES = b"\x55\x04\x03", b"\x55\x04\x0a", b"\x55\x1d\x11"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whom a certificate is for, who signed it, and when it is valid."""

    issuer: str
    """The issuer's common name, or its organization where it has none."""
    names: tuple[str, ...]
    """Subject alternative names: DNS names and addresses."""
    not_before: datetime
    not_after: datetime

    def evidence(self) -> dict[str, str]:
        """``issuer``, ``names`` (at most three) and ``expires``, short enough for a message."""
        names = ", ".join(self.names[:3]) + (", …" if len(self.names) > 3 else "")
        return {"issuer": self.issuer[:100], "names": names[:200], "expires": f"{self.not_after:%Y-%m-%dT%H:%M:%SZ}"}


def read(der: bytes) -> Certificate:
    """Raises `ValueError` for what is no certificate."""
    try:
        return _read(der)
    except (IndexError, StopIteration) as error:
        raise ValueError("not a DER certificate") from error


def _read(der: bytes) -> Certificate:
    certificate = _content(der)
    fields = list(_elements(_content(certificate)))
    # version [0] is optional and comes first; then serial number, algorithm, issuer, validity, subject, key.
    issuer, validity = [content for tag, content in fields if tag == _SEQUENCE][1:3]
    not_before, not_after = (_time(tag, content) for tag, content in _elements(validity))
    extensions = next((content for tag, content in fields if tag == _EXTENSIONS), None)
    names = tuple(_alternative_names(extensions)) if extensions else ()
    return Certificate(_name(issuer), names, not_before, not_after)


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each element that stands in ``data``, one after the other."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:  # long form: the low bits say how many bytes the length has
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError("truncated DER element")
        yield tag, data[at : at + length]
        at += length


def _content(data: bytes) -> bytes:
    tag, content = next(_elements(data))
    if tag != _SEQUENCE:
        raise ValueError("not a DER sequence")
    return content


def _name(name: bytes) -> str:
    """RDNSequence: a sequence of sets of (object identifier, string)."""
    attributes = {}
    for _, relative in _elements(name):
        for _, attribute in _elements(relative):
            (_, identifier), (tag, text) = _elements(attribute)
            attributes[identifier] = text.decode("utf-16-be" if tag == _BMP_STRING else "utf-8", errors="replace")
    return attributes.get(_COMMON_NAME) or attributes.get(_ORGANIZATION) or "unnamed"


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 50 to 99 are 19xx (RFC 5280, 4.1.2.5.1)
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _alternative_names(extensions: bytes) -> Iterator[str]:
    for _, extension in _elements(_content(extensions)):
        (_, identifier), *_critical, (_, value) = _elements(extension)
        if identifier != _ALTERNATIVE_NAMES:
            continue
        for tag, name in _elements(_content(value)):
            if tag == _DNS_NAME:
                yield name.decode("ascii", errors="replace")
            elif tag == _IP_ADDRESS:
                yield str(ipaddress.ip_address(name))
