"""Whose certificates are believed."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

import pytest

from connectivity_operator import trust
from tests.fakes.authority import Authority


def subjects(context: ssl.SSLContext) -> set[str]:
    present = context.now() if isinstance(context, trust.FollowingContext) else context
    return {str(certificate["subject"]) for certificate in present.get_ca_certs()}


def in_bundle(path: Path) -> set[str]:
    """What a library trusts that is given this path."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=path)
    return subjects(context)


def test_named_files_are_trusted_beside_the_system() -> None:
    """Without files, exactly the system's authorities."""
    assert subjects(trust.context()) == subjects(ssl.create_default_context(cafile=str(trust.system_bundle())))


def test_files_add_to_the_system_and_never_replace_it(tmp_path: Path) -> None:
    """Also a file that is not there at all (None) changes nothing."""
    added = subjects(trust.context(Authority(tmp_path, "One").file, None, Authority(tmp_path, "Two").file))
    assert added > subjects(trust.context())
    assert len(added) == len(subjects(trust.context())) + 2


def test_chain_and_name_are_both_verified() -> None:
    """No switch turns verification off."""
    for context in (trust.context(), trust.context().now()):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


def test_the_same_files_give_the_same_context(tmp_path: Path) -> None:
    """In any order: the authorities of a context cost 30 ms."""
    one, two = Authority(tmp_path, "One").file, Authority(tmp_path, "Two").file
    assert trust.context(one, two) is trust.context(two, None, one)
    assert trust.context(one, two).now() is trust.context(one, two).now()
    assert trust.context(one) is not trust.context(two)


def test_variables_of_other_programs_do_not_change_what_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sidecar's REQUESTS_CA_BUNDLE must not silently replace the system's authorities."""
    plain = subjects(trust.context())
    other = str(Authority(tmp_path, "Other").file)
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(variable, other)
    # Another file makes another context, so that nothing comes from the cache.
    fresh = subjects(trust.context(Authority(tmp_path, "Fresh").file))
    assert {subject for subject in fresh - plain if "Fresh" not in subject} == set()


def test_the_bundle_holds_what_the_context_trusts(tmp_path: Path) -> None:
    """For libraries that take a file, the very same authorities."""
    extra = Authority(tmp_path).file
    assert in_bundle(trust.bundle(extra)) == subjects(trust.context(extra))
    assert trust.bundle(extra) is trust.bundle(extra)


# ── files that are not there, or not any more ────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"", "holds no certificate in PEM form"),
        (b"no certificate", "holds no certificate in PEM form"),
    ],
)
def test_a_file_that_cannot_be_used_adds_nothing_and_names_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, said: str
) -> None:
    """Absent, empty or something else: less is trusted, never more, and the other file still counts."""
    file, good = tmp_path / "ca.pem", Authority(tmp_path).file
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("POSTGRES_CA_FILE", str(file))
    context = trust.context(file, good)
    assert trust.unusable(context) == {"variable": "POSTGRES_CA_FILE", "detail": f"{file} {said}"}
    assert subjects(context) == subjects(trust.context(good)) == in_bundle(trust.bundle(file, good))
    assert trust.unusable(trust.context(good)) == {}


def test_all_files_that_cannot_be_used_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deleted ConfigMap takes both away. A context of somebody else's has none."""
    files = {"POSTGRES_CA_FILE": tmp_path / "a.pem", "EXTRA_CA_FILE": tmp_path / "b.pem"}
    for variable, file in files.items():
        monkeypatch.setenv(variable, str(file))
    told = trust.unusable(trust.context(*files.values()))
    assert told["variable"] == "EXTRA_CA_FILE and POSTGRES_CA_FILE"
    assert told["detail"] == f"{tmp_path}/b.pem does not exist; {tmp_path}/a.pem does not exist"
    assert trust.unusable(ssl.create_default_context()) == {}
    assert trust.unusable(None) == {}


class Mount:
    """A ConfigMap's file as the kubelet shows it: a link, replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mounted.pem"

    def show(self, authority: Authority) -> None:
        link = self.file.with_suffix(".next")
        link.symlink_to(authority.file)
        link.replace(self.file)


async def trusted(context: ssl.SSLContext, authority: Authority) -> bool:
    """Whether a client with this context shakes hands with a server whose certificate the authority has signed."""
    signed = authority.server_context(["localhost"])
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=signed)
    async with server:
        port = server.sockets[0].getsockname()[1]
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        except ssl.SSLCertVerificationError:
            return False
        writer.close()
        return True


async def test_a_client_follows_a_file_that_comes_changes_and_goes(tmp_path: Path) -> None:
    """With the very context that it was given at the start; what was taken away is not believed any more."""
    mount, one, two = Mount(tmp_path), Authority(tmp_path, "One"), Authority(tmp_path, "Two")
    context, bundle = trust.context(mount.file), trust.bundle(mount.file)

    async def believed() -> list[bool]:
        return [await trusted(context, one), await trusted(context, two)]

    assert await believed() == [False, False]
    mount.show(one)
    assert await believed() == [True, False]
    mount.show(two)
    assert await believed() == [False, True]
    assert in_bundle(bundle) == subjects(context)  # the handshake has renewed it
    mount.file.unlink()
    assert in_bundle(trust.bundle(mount.file)) == subjects(trust.context())
    assert await believed() == [False, False]


def test_nothing_is_read_while_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each handshake costs a `stat`, no more, whether the file is there, absent or broken."""
    broken = tmp_path / "broken.pem"
    broken.touch()
    context = trust.context(Authority(tmp_path).file, tmp_path / "absent.pem", broken)
    before = context.now()
    monkeypatch.setattr(trust, "_make", lambda _: pytest.fail("made anew"))
    assert context.now() is before


def test_a_file_whose_rights_change_is_looked_at_again(tmp_path: Path) -> None:
    """Its content and its time stay the same."""
    file = Authority(tmp_path).file
    context = trust.context(file)
    before = context.now()
    os.chmod(file, 0o600)  # noqa: PTH101
    assert context.now() is not before
