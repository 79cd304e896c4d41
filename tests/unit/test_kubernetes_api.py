"""When an answer of the API server means that exactly this object is gone. Bodies are what 1.36 sent."""

from __future__ import annotations

import json

import pytest

from connectivity_operator.adapters.kubernetes_api import _Refused, _status_object
from connectivity_operator.ports import ObjectRef

REF = ObjectRef("search", "orders", "uid-1")


def status(code: int, message: str = "m", **details: object) -> str:
    return json.dumps({"kind": "Status", "code": code, "message": message, "details": details})


OBJECT = {"name": "orders", "group": "connectivity.hyperoptic.com", "kind": "connectivitytests"}


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (404, status(404, **OBJECT)),
        (422, status(422, "the server rejected our request due to an error in our request")),
    ],
    ids=["not found", "test of the uid failed"],
)
def test_gone(code: int, body: str) -> None:
    """Deleted, or another object has its name."""
    assert _Refused("patch", code, _status_object(body)).means_gone(REF)


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (404, "404 page not found"),
        (404, status(404)),
        (404, status(404, **{**OBJECT, "name": "other"})),
        (404, status(404, **{**OBJECT, "kind": "customresourcedefinitions"})),
        (422, status(422, name="orders", kind="ConnectivityTest", causes=[{"field": "status.operator"}])),
        (422, "Unprocessable"),
        (403, status(403, **OBJECT)),
        (409, status(409, **OBJECT)),
        (500, status(500)),
        (503, "upstream connect error"),
        (404, None),
        (404, "[]"),
    ],
)
def test_not_gone(code: int, body: str | None) -> None:
    """A CRD that is not served, a schema's refusal, a proxy's page: outages, after which the object is still there."""
    assert not _Refused("patch", code, _status_object(body)).means_gone(REF)


def test_the_text_is_the_servers_own() -> None:
    """Whoever reads the log sees which permission or field it was."""
    text = str(_Refused("patch status", 403, _status_object(status(403, "cannot patch resource"))))
    assert text == "patch status: 403 cannot patch resource"
