"""The EC2 instance metadata service of a node that lets Pods have its role: `python -m lab.faults.metadata_service`.

Only what the AWS SDKs ask of it (IMDSv2): a token, the role's name, its credentials. Stands at an address of its own,
which `AWS_EC2_METADATA_SERVICE_ENDPOINT` names, because 169.254.169.254 is not the lab's to take.
"""

from __future__ import annotations

import http.server
import json
from datetime import UTC, datetime

from lab import world
from lab.iam import control

ADDRESS = ("127.77.0.91", 80)
URL = f"http://{ADDRESS[0]}"
CREDENTIALS = "/latest/meta-data/iam/security-credentials/"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self._say("a-session-token")

    def do_GET(self) -> None:
        role = world.ROLE_NAME
        if self.path == CREDENTIALS:
            self._say(role)
        elif self.path == CREDENTIALS + role:
            self._say(json.dumps(_credentials(role)))
        else:
            self.send_error(404)

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


def _credentials(role: str) -> dict[str, str]:
    issued = control.issue(role, session="i-0123456789abcdef0", seconds=6 * 3600)
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": issued.access_key_id,
        "SecretAccessKey": issued.secret_access_key,
        "Token": issued.session_token,
        "Expiration": f"{datetime.fromtimestamp(issued.expires, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(ADDRESS, _Handler).serve_forever()
