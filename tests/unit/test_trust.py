"""Whose certificates are believed."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from connectivity_operator import trust
from connectivity_operator.errors import SettingsError
from tests.fakes.authority import Authority


def subjects(context: ssl.SSLContext) -> set[str]:
    return {str(certificate["subject"]) for certificate in context.get_ca_certs()}


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
    context = trust.context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_same_files_give_the_same_context(tmp_path: Path) -> None:
    """In any order: a context costs 30 ms."""
    one, two = Authority(tmp_path, "One").file, Authority(tmp_path, "Two").file
    assert trust.context(one, two) is trust.context(two, None, one)
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
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=trust.bundle(extra))
    assert subjects(context) == subjects(trust.context(extra))
    assert trust.bundle(extra) is trust.bundle(extra)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_that_cannot_be_used_is_an_error_that_names_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """Absent, empty or something else: whoever deploys must read which variable to correct."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("POSTGRES_CA_FILE", str(file))
    for use in (trust.context, trust.bundle):
        with pytest.raises(SettingsError) as refused:
            use(file)
        [(variable, problem)] = refused.value.problems
        assert variable == "POSTGRES_CA_FILE"
        assert str(file) in problem
