"""The values of the lab's installation say what the lab is, and nothing that the chart's own values say."""

from __future__ import annotations

from typing import Any

import yaml

from lab import installation, operator_env, paths, world
from lab.iam import defaults
from lab.node import operator_image


def values(file: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((paths.ROOT / file).read_text())
    return loaded


def test_a_pod_meets_the_same_world_as_the_operator_as_a_process() -> None:
    """Endpoints and role are those of values-nonprod.yaml, over the chart's defaults; only files lie elsewhere."""
    default, nonprod = values(f"{installation.CHART}/values.yaml"), values(installation.VALUES[0])
    pod = default["ho-microservice"]["env"] | nonprod["ho-microservice"]["env"]
    process = {name: text for name, text in operator_env.endpoints().items() if not name.endswith("_FILE")}
    assert {name: pod.get(name) for name in process if name != "OPERATOR_NAMESPACE"} == {
        name: text for name, text in process.items() if name != "OPERATOR_NAMESPACE"
    }
    annotations = nonprod["ho-microservice"]["serviceAccount"]["annotations"]
    assert annotations == {"eks.amazonaws.com/role-arn": world.ROLE_ARN}


def test_the_labs_own_values_are_for_what_it_lacks() -> None:
    """A registry and the External Secrets Operator; more would be what users need and lack."""
    assert values(installation.VALUES[1]) == {
        "ho-microservice": {"image": {"repository": operator_image.NAME}, "externalSecrets": {"enabled": False}}
    }


def test_the_role_trusts_the_charts_service_account() -> None:
    account = values(f"{installation.CHART}/values.yaml")["ho-microservice"]["serviceAccount"]["name"]
    assert account == world.CHART_SERVICE_ACCOUNT == installation.DEPLOYMENT
    [statement] = defaults.document()["roles"][world.ROLE_NAME]["trust"]["Statement"]
    [subjects] = [value for key, value in statement["Condition"]["StringEquals"].items() if key.endswith(":sub")]
    assert f"system:serviceaccount:{world.OPERATOR_NAMESPACE}:{account}" in subjects
