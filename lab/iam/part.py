"""lab-iam as a part of the lab."""

from __future__ import annotations

import sys

from lab import certificates, paths, processes, world
from lab.iam import control
from lab.part import NotReady
from lab.waiting import status_over_tls

SOCKET = paths.STATE / "iam" / "rds.sock"
"""Where PostgreSQL's PAM module asks."""


class Iam:
    """STS, Secrets Manager and the decisions behind MSK, RDS and OpenSearch Serverless."""

    name = "iam"
    needs: tuple[str, ...] = ()

    def prepare(self) -> None:
        """Nothing to fetch or build."""

    def start(self) -> None:
        """Start the process."""
        hosts = [world.STS[0], world.SECRETS_MANAGER[0]]
        chain, key = certificates.issue("iam", hosts=hosts)
        folder = paths.STATE.resolve()
        processes.spawn(
            self.name,
            [
                sys.executable, "-m", "lab.iam.server",
                f"--state={folder / 'iam' / 'state.json'}",
                f"--socket={SOCKET.resolve()}",
                f"--certificate={chain.resolve()}",
                f"--key={key.resolve()}",
                f"--issuer-ca={certificates.authority_file('kubernetes-ca').resolve()}",
                f"--issuer-ca={certificates.authority_file().resolve()}",
            ],
            cwd=paths.ROOT,
        )  # fmt: skip

    def ready(self) -> None:
        """STS answers over TLS (an unsigned call is refused, which is an answer) and so does the administration."""
        processes.check(self.name)
        try:
            control.get_state()
            status_over_tls(world.STS[1], "/?Action=GetCallerIdentity")
        except OSError as error:
            raise NotReady(f"lab-iam does not answer yet: {error}") from error

    def seed(self) -> None:
        """The state that the process starts with is what the lab promises."""

    def stop(self) -> None:
        """Terminating the process is enough."""
