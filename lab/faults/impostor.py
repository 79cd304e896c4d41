"""A server that stands where another one should, and does not speak as it does: `python -m lab.faults.impostor`.

``silent``: accepts connections and says nothing. ``refusing``: answers every TLS greeting by the alert
protocol_version, as a server does that knows only versions given up long ago.
"""

from __future__ import annotations

import socketserver
import sys

ADDRESS = "127.77.0.90"
PORTS = {"silent": 4430, "refusing": 4431}

ALERT = bytes([21, 3, 1, 0, 2, 2, 70])
"""TLS record: alert, version 1.0, two bytes: fatal, protocol_version (RFC 8446, 6.2)."""


class _Silent(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while self.request.recv(4096):
            pass


class _Refusing(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        if self.request.recv(4096):
            self.request.sendall(ALERT)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    """Serve until killed."""
    kind = sys.argv[1]
    handler = {"silent": _Silent, "refusing": _Refusing}[kind]
    _Server((ADDRESS, PORTS[kind]), handler).serve_forever()


if __name__ == "__main__":
    main()
