"""Image archives say what they hold; the image of the operator is named after what goes into it."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from lab import parts, paths
from lab.node import images, layout, operator_image
from lab.part import PartError


def test_an_archive_holds_the_files_as_roots_under_its_name(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "program").write_text("#!")
    images.write_archive(tmp_path / "image.tar", "localhost/program:1", root, entrypoint=["/program"])
    with tarfile.open(tmp_path / "image.tar") as archive:
        archive.extractall(tmp_path / "image", filter="data")
    [image] = json.loads((tmp_path / "image" / "manifest.json").read_text())
    assert image["RepoTags"] == ["localhost/program:1"]
    config = json.loads((tmp_path / "image" / image["Config"]).read_text())
    assert config["config"]["Entrypoint"] == ["/program"]
    layer = tmp_path / "image" / image["Layers"][0]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer.read_bytes()).hexdigest()}"]
    with tarfile.open(layer) as files:
        assert {(file.uid, file.gid) for file in files} == {(0, 0)}
        assert "./program" in files.getnames()


def test_the_tag_changes_with_the_program_and_not_with_compiled_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for name in (*operator_image.CONTEXT, *operator_image.REQUIREMENTS):
        (tmp_path / name).touch() if "." in name or name == "Dockerfile" else (tmp_path / name).mkdir()
    module = tmp_path / "operator" / "app.py"
    module.write_text("one")
    before = operator_image.reference()
    (tmp_path / "operator" / "__pycache__").mkdir()
    (tmp_path / "operator" / "__pycache__" / "app.pyc").touch()
    assert operator_image.reference() == before
    module.write_text("two")
    assert operator_image.reference() != before


def test_an_image_cannot_be_loaded_without_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "RUN", tmp_path)
    with pytest.raises(PartError, match="node is not up"):
        images.present()


@pytest.mark.parametrize("folder", ["/run/lab", "/var/lib/lab", "/home/" + "x" * 60])
def test_a_state_folder_that_the_node_cannot_use_is_refused(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "STATE", Path(folder))
    with pytest.raises(PartError, match="LAB_STATE"):
        layout.check()


def test_the_node_is_started_on_request_only() -> None:
    assert "node" not in parts.BY_DEFAULT
    assert [part.name for part in parts.with_needs(["node"])] == ["dns", "kubernetes", "node"]
