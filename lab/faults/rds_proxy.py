"""RDS Proxy, emulated, that has no Secret for a user: `python -m lab.faults.rds_proxy CERTIFICATE KEY`.

Speaks as much of PostgreSQL's protocol as a login needs that is refused: TLS when it is asked for, the start-up message
and one error (PostgreSQL manual, "Message Formats").
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import sys

ADDRESS = ("127.77.0.91", 5432)

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
TEXT = "This RDS proxy has no credentials for the role {user}. Check the credentials for this role and try again."
"""Source: RDS user guide, "Troubleshooting for RDS Proxy"; it does not tell the SQLSTATE."""


def refusal(user: str) -> bytes:
    """ErrorResponse: typed, terminated fields."""
    fields = {"S": "FATAL", "V": "FATAL", "C": "28000", "M": TEXT.format(user=user)}
    body = b"".join(f"{kind}{value}\0".encode() for kind, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!i", len(body) + 4) + body


def user_of(startup: bytes) -> str:
    """From the parameters of a StartupMessage: names and values, each terminated, after the protocol's version."""
    words = startup[4:].rstrip(b"\0").decode().split("\0")
    return dict(zip(words[::2], words[1::2], strict=False)).get("user", "")


def exactly(connection: socket.socket, count: int) -> bytes:
    """Raises `EOFError` at the end of the stream."""
    read = b""
    while len(read) < count:
        part = connection.recv(count - len(read))
        if not part:
            raise EOFError
        read += part
    return read


class _Login(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError, EOFError):  # whoever only looks at TLS goes away
            if exactly(self.request, len(SSL_REQUEST)) == SSL_REQUEST:
                self.request.sendall(b"S")
                with _CONTEXT.wrap_socket(self.request, server_side=True) as secured:
                    (length,) = struct.unpack("!i", exactly(secured, 4))
                    secured.sendall(refusal(user_of(exactly(secured, length - 4))))


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def main() -> None:
    """Serve until killed."""
    _CONTEXT.load_cert_chain(*sys.argv[1:3])
    _Server(ADDRESS, _Login).serve_forever()


if __name__ == "__main__":
    main()
