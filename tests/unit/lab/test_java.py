"""Which Java is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import java


def install(folder: Path, version: str, *, compiler: bool = True) -> Path:
    """A folder that looks like an installation."""
    (folder / "bin").mkdir(parents=True)
    (folder / "release").write_text(f'IMPLEMENTOR="Someone"\nJAVA_VERSION="{version}"\n')
    for program in ("java", "javac") if compiler else ("java",):
        (folder / "bin" / program).touch(mode=0o755)
    return folder


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Java, and one usual folder for it."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    folder = tmp_path / "jvm"
    folder.mkdir()
    monkeypatch.setattr(java, "USUAL_FOLDERS", (str(folder), str(tmp_path / "missing")))
    return folder


def found(at_least: int, *, compiler: bool = False) -> Path | None:
    one = java.find(at_least, compiler=compiler)
    return one.home if one else None


def test_the_oldest_that_is_new_enough_is_taken(machine: Path) -> None:
    """By number, not by name."""
    install(machine / "a-new", "25.0.3")
    old = install(machine / "b-old", "17.0.15")
    middle = install(machine / "c-middle", "21")
    (machine / "no-java").mkdir()
    assert (found(17), found(18), found(26)) == (old, middle, None)


def test_java_home_comes_first_if_it_will_do(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it will not, it is passed over."""
    old, new = install(machine / "old", "17"), install(machine / "new", "25")
    monkeypatch.setenv("JAVA_HOME", str(new))
    assert (found(17), found(21)) == (new, new)
    monkeypatch.setenv("JAVA_HOME", str(old))
    assert found(21) == new


def test_a_runtime_is_no_compiler(machine: Path) -> None:
    """javac is looked for where it is needed."""
    install(machine / "runtime", "17", compiler=False)
    jdk = install(machine / "jdk", "21")
    assert (found(17, compiler=True), found(17)) == (jdk, machine / "runtime")
