"""Makes the environment of the image small: run by its Python, in the build, when everything is installed.

Takes out what the operator never loads, then loads the operator, so that a build that took too much fails, and compiles
what is left. `docs/image.md` has what it is worth.
"""

from __future__ import annotations

import importlib
import pkgutil
import py_compile
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

PACKAGES = Path(sysconfig.get_path("purelib"))

UNNEEDED = (
    "**/__pycache__",  # made anew below
    "**/tests",
    "**/*.py[ix]",  # for type checkers and for Cython
    "**/*.pxd",
    "boto3/data",
    "boto3/examples",
    "kubernetes/client/models/*_*.py",  # the operator uses the asyncio half, kubernetes.aio
    "numpy/_core/include",
    "numpy/f2py",
)
"""Below `PACKAGES`; each belongs to a package that is needed itself."""

APIS = {"core_v1_api.py", "custom_objects_api.py"}
"""The parts of the Kubernetes API that the operator calls."""

SERVICES = {"sts", "sso", "sso-oidc", "signin"}
"""The APIs of AWS that the credential chain calls. botocore describes some 400 more."""

AT_FIRST_USE = (
    "anyio._backends._asyncio",
    "httpcore2",
    "openai.resources.embeddings",
    "kubernetes.aio.client.api.core_v1_api",
    "kubernetes.aio.client.api.custom_objects_api",
    "kubernetes.aio.client.models.core_v1_event",
    "kubernetes.aio.client.models.v1_event_source",
    "kubernetes.aio.client.models.v1_object_meta",
    "kubernetes.aio.client.models.v1_object_reference",
    "kubernetes.aio.client.models.v1_pod_list",
)
"""What is not loaded with the operator, but soon after."""

COLD = ("kubernetes", "pygments/lexers", "pygments/styles")
"""Thousands of generated modules: of these only what has been loaded is compiled."""


def main() -> None:
    """Reduce, try, compile."""
    before = _megabytes()
    _remove(match for pattern in UNNEEDED for match in PACKAGES.glob(pattern))
    _remove(file for file in PACKAGES.glob("kubernetes/**/client/api/*_api.py") if file.name not in APIS)
    _remove(folder for folder in PACKAGES.glob("botocore/data/*/") if folder.is_dir() and folder.name not in SERVICES)
    _load()
    _compile()
    print(f"{before:.0f} MB of packages before, {_megabytes():.0f} MB after, compiled modules included")


def _load() -> None:
    """Every module of the operator, and what it loads later; a client of AWS, which reads botocore's data."""
    sys.dont_write_bytecode = True
    import connectivity_operator

    for module in pkgutil.walk_packages(connectivity_operator.__path__, "connectivity_operator."):
        importlib.import_module(module.name)
    for name in AT_FIRST_USE:
        importlib.import_module(name)
    session = importlib.import_module("botocore.session").get_session()
    for service in SERVICES:
        session.create_client(service, region_name="eu-west-2", aws_access_key_id="-", aws_secret_access_key="-")  # noqa: S106 (none)


def _compile() -> None:
    """By content and not by time, so that neither another layer's time nor another build makes them stale."""
    loaded = {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    for source in PACKAGES.rglob("*.py"):
        cold = source.relative_to(PACKAGES).as_posix().startswith(COLD)
        if source in loaded or not cold:
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(source), invalidation_mode=mode, quiet=2)


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _megabytes() -> float:
    return sum(file.stat().st_size for file in PACKAGES.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    main()
