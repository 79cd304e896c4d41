"""The lab comes up, heals, runs programs in the operator's place, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest

from lab import certificates, dns, listeners, operator_env, parts, paths, processes, runner, world
from lab.kubernetes import access, identities, programs

pytestmark = pytest.mark.usefixtures("lab")

LAB = [sys.executable, "-m", "lab"]


def run_as_operator(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LAB, "run", "--", *argv], cwd=paths.ROOT, capture_output=True, text=True, timeout=30, check=False
    )


# ── up, kill, start ──────────────────────────────────────────────────────────────────────────────────
def test_a_second_up_is_quick_and_changes_nothing() -> None:
    before = processes.records()
    wanted = [parts.load(name) for name in {parts.owner(record.name) for record in before} if name]
    began = time.monotonic()
    runner.up(wanted)
    assert time.monotonic() - began < 10
    assert processes.records() == before


def test_a_killed_server_comes_back_with_up() -> None:
    before = processes.find("dns")
    runner.kill("dns")
    runner.up([parts.load("dns")])
    assert processes.find("dns") not in (None, before)


def test_the_cluster_keeps_its_objects_while_it_is_stopped() -> None:
    access.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    try:
        runner.stop("kubernetes")
        assert processes.of_part("kubernetes") == []
        runner.start("kubernetes")
        assert access.kubectl("get", "configmap", "kept", "--output=jsonpath={.data.a}") == "b"
    finally:
        access.kubectl("delete", "configmap", "kept")


def test_a_single_process_can_be_killed_and_started() -> None:
    others = {record for record in map(repr, processes.of_part("kubernetes")) if "etcd" not in record}
    runner.kill("kubernetes-etcd")
    assert processes.find("kubernetes-etcd") is None
    runner.start("kubernetes-etcd")
    access.kubectl("get", "namespace", world.OPERATOR_NAMESPACE)
    assert {record for record in map(repr, processes.of_part("kubernetes")) if "etcd" not in record} == others


# ── names ────────────────────────────────────────────────────────────────────────────────────────────
def test_names_can_be_taken_away_and_given_back() -> None:
    name, address = world.OPENAI
    assert dns.resolve(name) == [address]
    try:
        dns.publish({other: where for other, where in world.names().items() if other != name})
        assert dns.resolve(name) == []
        assert dns.resolve(world.STS[0]) == [world.STS[1]]
    finally:
        dns.publish(world.names())
    assert dns.resolve(name) == [address]


# ── the cluster ──────────────────────────────────────────────────────────────────────────────────────
def test_the_operator_may_do_what_it_does_and_nothing_else() -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": world.OPERATOR_NAMESPACE},
    }
    identities.ensure(identities.OPERATOR)
    answer = subprocess.run(
        [str(programs.kubectl()), "create", "--filename=-", "--output=json"],
        env={**os.environ, "KUBECONFIG": str(identities.OPERATOR.kubeconfig)},
        input=json.dumps(review),
        capture_output=True,
        text=True,
        check=True,
    )
    rules = {
        (group, resource, verb)
        for rule in json.loads(answer.stdout)["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if not resource.startswith("selfsubject")  # everybody may ask about himself
    }
    ours = "connectivity.hyperoptic.com"
    assert rules == {
        *((ours, "connectivitytests", verb) for verb in ("list", "watch", "patch")),
        (ours, "connectivitytests/status", "patch"),
        ("", "events", "create"),
        *(("apiextensions.k8s.io", "customresourcedefinitions", verb) for verb in ("list", "watch")),
    }


@pytest.mark.parametrize("identity", identities.ALL.values(), ids=identities.ALL)
def test_anybody_can_verify_a_token_for_sts_as_sts_does(identity: identities.Identity) -> None:
    """Issuer, discovery document, keys: all without a token of one's own."""
    identities.ensure(identity)
    token = identity.aws_token.read_text()
    trust = ssl.create_default_context(cafile=str(certificates.authority_file("kubernetes-ca")))
    discovery = f"{world.KUBERNETES_ISSUER}/.well-known/openid-configuration"
    with urllib.request.urlopen(discovery, context=trust, timeout=5) as answer:
        keys_url = json.load(answer)["jwks_uri"]
    key = jwt.PyJWKClient(keys_url, ssl_context=trust).get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=world.TOKEN_AUDIENCE, issuer=world.KUBERNETES_ISSUER)
    assert claims["sub"] == f"system:serviceaccount:{world.OPERATOR_NAMESPACE}:{identity.service_account}"
    assert claims["exp"] - claims["iat"] == 24 * 3600


def test_a_namespace_goes_when_it_is_deleted() -> None:
    """Without a controller manager it would be Terminating for ever."""
    access.kubectl("create", "namespace", "short-lived")
    access.kubectl("delete", "namespace", "short-lived", "--timeout=30s")


# ── in the operator's place ──────────────────────────────────────────────────────────────────────────
def test_a_program_resolves_the_labs_names_and_no_others() -> None:
    script = "import socket, sys; print([socket.gethostbyname(name) for name in sys.argv[1:]])"
    found = run_as_operator("python3", "-c", script, *world.names())
    assert found.stdout.strip() == str(list(world.names().values()))
    unknown = run_as_operator("python3", "-c", script, "b-1.demmo.a1b2c3.c2.kafka.eu-west-2.amazonaws.com")
    assert f"[Errno {socket.EAI_NONAME}]" in unknown.stderr


def test_the_machines_own_resolver_is_untouched() -> None:
    before = Path("/etc/resolv.conf").read_bytes()
    inside = run_as_operator("cat", "/etc/resolv.conf").stdout
    assert world.DNS_ADDRESS in inside
    assert Path("/etc/resolv.conf").read_bytes() == before


def test_a_programs_exit_code_is_passed_on() -> None:
    assert run_as_operator("sh", "-c", "exit 7").returncode == 7


def test_sigterm_reaches_the_program_itself() -> None:
    """As the kubelet sends it: to the process that was started, which must be the program and no wrapper."""
    script = "trap 'echo stopping; exit 0' TERM; echo $$; while :; do sleep 0.05; done"
    argv, env = operator_env.command(["sh", "-c", script])
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert int(program.stdout.readline()) == program.pid
        program.send_signal(signal.SIGTERM)
        assert program.stdout.read() == "stopping\n"
    assert program.returncode == 0


def test_the_operator_runs_as_a_process_of_the_lab() -> None:
    stand_in = ["sh", "-c", 'echo "$AWS_ROLE_ARN $METRICS_PORT"; exec sleep 60']
    record = operator_env.spawn_operator({"METRICS_PORT": "0"}, argv=stand_in)
    try:
        deadline = time.monotonic() + 5
        while f"{world.ROLE_ARN} 0" not in processes.tail("operator") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert processes.tail("operator", lines=1) == f"{world.ROLE_ARN} 0"
    finally:
        runner.stop("operator")
    assert not processes.alive(record)


# ── a lab apart, from nothing to nothing ─────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Apart:
    """A second lab beside the running one: its own folder, and its own loopback in a network namespace."""

    state: Path
    holder: int
    """The pid of the process that keeps the namespace alive."""

    def run(self, *argv: str) -> str:
        ended = subprocess.run(
            ["nsenter", f"--target={self.holder}", "--net", *argv],
            env={**os.environ, "LAB_STATE": str(self.state)},
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def processes(self) -> dict[int, str]:
        """Every process that has to do with the folder, by what it runs, was told or works in; not by our records."""
        return {
            int(entry.name): (entry / "comm").read_text().strip()
            for entry in Path("/proc").glob("[0-9]*")
            if any(str(self.state) in told for told in _told(entry))
        }


def _told(process: Path) -> Iterator[str]:
    for name in ("cmdline", "environ"):
        try:
            yield (process / name).read_bytes().decode(errors="replace")
        except OSError:  # it has ended
            return
    try:
        yield str((process / "cwd").readlink())
    except OSError:
        return


@pytest.fixture
def apart() -> Iterator[Apart]:
    # pytest's own folder may be too long for PostgreSQL's unix socket.
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as folder:
        yield from _apart(Path(folder))


def _apart(folder: Path) -> Iterator[Apart]:
    argv = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "up\n"
        lab = Apart(folder / "state", holder.pid)
        yield lab
        for pid in lab.processes():
            os.kill(pid, signal.SIGKILL)
        holder.kill()


def test_down_leaves_no_process_and_no_port_even_after_kill_9(apart: Apart) -> None:
    """One process of every part is killed, as by the kernel; the rest is found and ended all the same."""
    running = sorted({owner for record in processes.records() if (owner := parts.owner(record.name))})
    apart.run(*LAB, "up", f"--only={','.join(running)}")
    records = [json.loads(file.read_text()) for file in (apart.state / "run").glob("*.json")]
    assert {parts.owner(record["name"]) for record in records} == set(running)
    victims = {parts.owner(record["name"]): record["pid"] for record in records}
    for pid in victims.values():
        os.kill(pid, signal.SIGKILL)

    apart.run(*LAB, "down")

    assert apart.processes() == {}
    assert apart.run("ss", "-Hltnu") == ""
    assert (apart.state / "kubernetes" / "etcd").is_dir(), "data is kept without --purge"
    apart.run(*LAB, "down", "--purge")
    assert not apart.state.exists()


def test_nothing_listens_beyond_the_loopback(apart: Apart) -> None:
    """Not even while the lab is up."""
    assert listeners.in_lab() != []
    for part in parts.with_needs(["node"]):
        part.prepare()  # from the namespace there is no way to the packages
    apart.run(*LAB, "up", "--only=node")
    addresses = {line.split()[4].rpartition(":")[0] for line in apart.run("ss", "-Hltnu").splitlines()}
    assert addresses
    assert all(address.startswith("127.") for address in addresses), addresses
    apart.run(*LAB, "down", "--purge")
