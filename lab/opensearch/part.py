"""OpenSearch Serverless as a part of the lab."""

from __future__ import annotations

import sys

from lab import administration, certificates, paths, processes, world
from lab.opensearch import admin, backend, build, control
from lab.part import NotReady
from lab.waiting import status_over_tls

GATEWAY = "opensearch-gateway"


class OpenSearch:
    """Processes `opensearch` (the real server) and `opensearch-gateway` (Serverless before it)."""

    name = "opensearch"
    needs: tuple[str, ...] = ("iam",)

    def prepare(self) -> None:
        """The server's home, and a Java for it."""
        build.home()
        build.runtime()

    def start(self) -> None:
        """Start both on the data they have."""
        folders = backend.Folders(paths.STATE.resolve() / "opensearch")
        backend.lay_out(folders)
        processes.spawn(self.name, backend.command(build.runtime(), build.home(), folders), unprivileged=True)
        chain, key = certificates.issue(GATEWAY, hosts=[world.OPENSEARCH[0]])
        processes.spawn(
            GATEWAY,
            [
                sys.executable, "-m", "lab.opensearch.gateway",
                f"--certificate={chain.resolve()}",
                f"--key={key.resolve()}",
            ],
            cwd=paths.ROOT,
        )  # fmt: skip

    def ready(self) -> None:
        """The server answers, and so do the gateway's endpoint over TLS (with a refusal) and its control."""
        for process in (self.name, GATEWAY):
            processes.check(process)
        try:
            admin.check_health()
            control.answered()
            status_over_tls(world.OPENSEARCH[1], "/")
        except (OSError, administration.RefusedError) as error:
            raise NotReady(f"OpenSearch does not answer yet: {error}") from error

    def seed(self) -> None:
        """What every index gets."""
        admin.put_template()

    def stop(self) -> None:
        """Terminating the processes is enough."""
