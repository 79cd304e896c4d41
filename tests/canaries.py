"""Secrets that must appear nowhere, and everything in which they could: what a run of the operator has left behind.

The secrets of the lab are canaries already: its API key, the tokens of the ServiceAccount, every key and session token
that its STS has issued, and the text of the messages. Signatures and login tokens are made anew for every request, so
those are recognised by their shape.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote, quote_plus

import yaml

from lab import openai, paths
from lab.kubernetes import access, programs
from lab.kubernetes.identities import ALL
from lab.operating import kubectl

MESSAGE_TEXT = "the parcel is on its way"
"""In every message of `lab.operating.texts`."""
METRICS = "http://127.0.0.1:9090/metrics"

SHORTEST = 8
"""Characters of a secret that are looked for in one piece, at least."""

WORD = re.compile(r"[\w+/=%.~-]{8,}")
"""Almost every secret is a part of one. A log of megabytes has few different ones, so they are searched instead."""

SHAPES: Mapping[str, re.Pattern[str]] = {
    "a signature": re.compile(r"Signature(?:=|%3D|%253D|\W{1,4})\s?[0-9a-f]{64}", re.IGNORECASE),
    "a session token in a URL": re.compile(r"X-Amz-Security-Token(?:=|%3D)(?!\[hidden\])[A-Za-z0-9%]{8}"),
    "an MSK login token": re.compile(r"aHR0cHM6Ly9rYWZrY[A-Za-z0-9_-]{16}"),
    "a JSON web token": re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8}"),
    "an API key": re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{8}"),
}
"""What secrets look like that are made anew for every request."""


@dataclass(frozen=True)
class Leak:
    """A secret that was found. Says where, and shows what is around it without the secret itself."""

    secret: str
    """Its name, never its value."""
    where: str
    form: str
    around: str

    def __str__(self) -> str:
        return f"{self.secret} ({self.form}) in {self.where}: …{self.around}…"


def planted() -> dict[str, str]:
    """Name -> value of every secret that there is in the lab now."""
    secrets = {"the API key": openai.API_KEY, "a message's text": MESSAGE_TEXT}
    for identity in ALL.values():
        if identity.aws_token.exists():
            secrets[f"the web identity token of {identity.service_account}"] = identity.aws_token.read_text().strip()
            secrets[f"the API token of {identity.service_account}"] = _bearer(identity.kubeconfig)
    issued = json.loads((paths.STATE / "iam" / "state.json").read_text())["issued"]
    for number, one in enumerate(issued):
        secrets[f"secret access key {number}"] = one["secret"]
        secrets[f"session token {number}"] = one["session_token"]
    return secrets


def forms(value: str) -> dict[str, str]:
    """How a secret may be written: plainly, in a URL, in base64 wherever in the encoded bytes it begins, in hex."""
    found = {
        "plain": value,
        "in a URL": quote(value, safe=""),
        "in a form": quote_plus(value),
        "in a URL twice": quote(quote(value, safe=""), safe=""),
        "in JSON": json.dumps(value)[1:-1],
        "hex": value.encode().hex(),
    }
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + value.encode()).decode().rstrip("=")
        # The first and the last characters depend on the neighbours, too.
        inner = encoded[(before * 8 + 5) // 6 : -1]
        found[f"base64, {before} bytes later"] = inner
        found[f"base64 for URLs, {before} bytes later"] = inner.replace("+", "-").replace("/", "_")
    return {name: text for name, text in found.items() if len(text) >= SHORTEST}


def leaks(secrets: Mapping[str, str], places: Iterable[tuple[str, str]]) -> list[Leak]:
    """Every secret that is found in the (name, text) of some places."""
    wanted: dict[str, tuple[str, str]] = {}
    for name, value in secrets.items():
        for form, text in forms(value).items():
            wanted.setdefault(text, (name, form))
    found = []
    for where, text in places:
        words = "\n".join(set(WORD.findall(text)))
        for needle, (name, form) in wanted.items():
            if WORD.fullmatch(needle) and needle not in words:
                continue
            if (at := text.find(needle)) >= 0:
                found.append(Leak(name, where, form, _around(text, at, at + len(needle))))
        for name, shape in SHAPES.items():
            if match := shape.search(text):
                found.append(Leak(name, where, "by its shape", _around(text, match.start(), match.end())))
    return found


def _around(text: str, begin: int, end: int) -> str:
    return f"{text[max(0, begin - 60) : begin]}<HERE>{text[end : end + 20]}".replace("\n", " ")


def _bearer(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"])


class Collector:
    """Gathers all that is said while its block lasts, every version of every status and Event of it included."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = paths.LOGS / "operator.log"
        self._skip = self._log.stat().st_size if self._log.exists() else 0
        self._texts: list[tuple[str, str]] = []
        self._followed = [_Follow(what, folder / f"{what}.yaml") for what in ("connectivitytests", "events")]

    def __enter__(self) -> Self:
        for follow in self._followed:
            follow.start()
        return self

    def __exit__(self, *_: object) -> None:
        for follow in self._followed:
            follow.stop()

    def add(self, where: str, text: str) -> None:
        """Something that a person was shown: a report, an exception's text."""
        self._texts.append((where, text))

    def places(self) -> Iterator[tuple[str, str]]:
        """(name, text) of everything so far."""
        yield "the operator's log", self._log.read_bytes()[self._skip :].decode(errors="replace")
        for what in ("connectivitytests", "events"):
            yield f"{what} now", kubectl("get", what, "-A", "-o", "yaml")
            yield f"{what} meanwhile", (self._folder / f"{what}.yaml").read_text()
        yield from self._texts

    def metrics(self) -> None:
        """Take the page of the metrics, of an operator that runs."""
        with urllib.request.urlopen(METRICS, timeout=5) as answer:
            self.add("metrics", answer.read().decode())


class _Follow:
    """Every version of all objects of a kind, into a file. The API server ends each watch after some time."""

    def __init__(self, what: str, file: Path) -> None:
        self._command = [str(programs.kubectl()), "get", what, "-A", "--watch", "-o", "yaml"]
        self._file = file
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._process:
            self._process.terminate()
        self._thread.join()

    def _run(self) -> None:
        with self._file.open("ab") as output:
            while not self._ended.is_set():
                env = {**os.environ, "KUBECONFIG": str(access.ADMIN)}
                self._process = subprocess.Popen(self._command, env=env, stdout=output)
                self._process.wait()
                self._ended.wait(0.5)


def no_leaks(collector: Collector) -> None:
    """Fails with the list of what has leaked."""
    found = leaks(planted(), collector.places())
    assert not found, "secrets leaked:\n" + "\n".join(map(str, found))
