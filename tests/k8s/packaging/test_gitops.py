"""Rules from git: the health checks of Argo CD and Flux say the same, and the pipeline's commands work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cel_expr_python import cel
from lupa.lua51 import LuaRuntime

from tests.conftest import KafkaAddress
from tests.k8s.packaging.dockerfile import ROOT
from tests.k8s.packaging.rendering import CHART

GITOPS = ROOT / "k8s/examples/gitops"
CI = ROOT / "k8s/examples/ci"
RULES = ROOT / "k8s/examples/rules/fleet"
CRDS = [yaml.safe_load(path.read_text()) for path in (CHART / "crds").glob("*.yaml")]


def condition(type_: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def resource(kind: str, *conditions: dict[str, str], observed: int | None = 2, **spec: Any) -> dict[str, Any]:
    """A resource of generation 2 that somebody has looked at."""
    metadata = {"name": "x", "generation": 2}
    made: dict[str, Any] = {"kind": kind, "metadata": metadata, "spec": spec}
    if observed is not None:
        made["status"] = {"observedGeneration": observed, "conditions": list(conditions)}
    return made


ACCEPTED, READY = condition("Accepted", "True", "Valid"), condition("Ready", "True", "Running")
CASES = [
    pytest.param(resource("AlertRule", observed=None), "Progressing", id="rule-that-nobody-has-seen"),
    pytest.param(resource("AlertRule", ACCEPTED, READY), "Healthy", id="rule-that-runs"),
    pytest.param(resource("AlertRule", ACCEPTED, READY, observed=1), "Progressing", id="rule-just-edited"),
    pytest.param(
        resource("AlertRule", ACCEPTED, condition("Ready", "False", "RollingOut", "1 of 3 workers run it")),
        "Progressing",
        id="rule-on-its-way",
    ),
    pytest.param(
        resource(
            "AlertRule", condition("Accepted", "False", "Invalid"), condition("Ready", "False", "NotAccepted")
        ),
        "Degraded",
        id="rule-that-is-wrong",
    ),
    pytest.param(
        resource(
            "SequenceRule",
            condition("Accepted", "False", "Invalid"),
            condition("Ready", "False", "OlderVersionRuns"),
        ),
        "Degraded",
        id="rule-whose-older-version-runs",
    ),
    pytest.param(
        resource("GeofenceRule", ACCEPTED, condition("Ready", "False", "Refused", "alerts-0 refuses it")),
        "Degraded",
        id="rule-that-a-worker-refuses",
    ),
    pytest.param(
        resource("AggregationRule", ACCEPTED, condition("Ready", "False", "Failing")),
        "Degraded",
        id="failing",
    ),
    pytest.param(
        resource("Geofence", ACCEPTED, condition("Ready", "False", "Overridden")), "Degraded", id="overridden"
    ),
    pytest.param(
        resource("AlertRule", ACCEPTED, condition("Ready", "Unknown", "NoWorkers")),
        "Progressing",
        id="no-workers",
    ),
    pytest.param(
        resource("RulePipeline", READY, condition("Degraded", "False")), "Healthy", id="pipeline-that-is-up"
    ),
    pytest.param(
        resource("RulePipeline", condition("Ready", "False", "Upgrading"), condition("Degraded", "False")),
        "Progressing",
        id="pipeline-in-an-upgrade",
    ),
    pytest.param(
        resource("RulePipeline", READY, condition("Degraded", "True", "RolledBack", "bad image")),
        "Degraded",
        id="pipeline-that-was-rolled-back",
    ),
    pytest.param(resource("RulePipeline", observed=None), "Progressing", id="pipeline-that-nobody-has-seen"),
]


def by_argo_cd(seen: dict[str, Any]) -> tuple[str, str | None]:
    """Status and message, from the Lua that goes into Argo CD's ConfigMap."""
    config = yaml.safe_load((GITOPS / "argocd/argocd-cm.yaml").read_text())
    customizations = yaml.safe_load(config["data"]["resource.customizations"])
    (pattern,) = customizations
    assert pattern == "telltale.dev/*"
    lua = LuaRuntime(unpack_returned_tuples=True)
    lua.globals()["obj"] = lua.table_from(seen, recursive=True)
    health = lua.execute(customizations[pattern]["health.lua"])
    return health["status"], health["message"]


def flux_checks() -> dict[str, dict[str, str]]:
    """The expressions of each kind."""
    documents = yaml.safe_load_all((GITOPS / "flux/flux.yaml").read_text())
    return {
        check["kind"]: check
        for document in documents
        for check in document.get("spec", {}).get("healthCheckExprs", ())
    }


def by_flux(seen: dict[str, Any]) -> str:
    """As kustomize-controller judges: failed before current; an expression with an error does not hold."""
    environment = cel.NewEnv(variables=dict.fromkeys(("metadata", "spec", "status"), cel.Type.DYN))
    bound = {key: value for key, value in seen.items() if key in ("metadata", "spec", "status")}
    activation = environment.Activation(bound)

    def holds(text: str) -> bool:
        try:
            return bool(environment.compile(text).eval(activation).plain_value() is True)
        except RuntimeError:
            return False

    checks = flux_checks()[seen["kind"]]
    if holds(checks["failed"]):
        return "Degraded"
    return "Healthy" if holds(checks["current"]) else "Progressing"


@pytest.mark.parametrize(("seen", "health"), CASES)
def test_argo_cd_and_flux_say_the_same_of_a_resource(seen: dict[str, Any], health: str) -> None:
    assert by_argo_cd(seen)[0] == health
    assert by_flux(seen) == health


def test_argo_cd_shows_the_operators_own_words_and_a_pause() -> None:
    wrong = condition("Accepted", "False", "Invalid", "undeclared signal 'sped'")
    seen = resource("AlertRule", wrong, condition("Ready", "False", "NotAccepted"))
    assert by_argo_cd(seen) == ("Degraded", "undeclared signal 'sped'")
    assert by_argo_cd(resource("RulePipeline", READY, paused=True))[0] == "Suspended"


def test_flux_has_a_check_for_every_kind() -> None:
    assert set(flux_checks()) == {crd["spec"]["names"]["kind"] for crd in CRDS}


def steps() -> list[tuple[str, str]]:
    workflow = yaml.safe_load((CI / "rules.yml").read_text())
    return [
        (step["name"], step["run"])
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]


@pytest.mark.integration
def test_the_pipelines_commands_take_a_change_to_all_vehicles(
    kafka: KafkaAddress, prefix: str, tmp_path: Path
) -> None:
    """A first revision runs; then the workflow's steps, one after the other, and at the end all have it."""
    repository = tmp_path / "repository"
    shutil.copytree(RULES, repository / "rules")
    (repository / "recordings").mkdir()
    drive = "coolant,speed\n" + "".join(f"{90 + second},60\n" for second in range(60))
    (repository / "recordings/drive.csv").write_text(drive)
    outside = {key: value for key, value in os.environ.items() if not key.startswith("TELLTALE_")}
    environment = outside | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TELLTALE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "TELLTALE_PREFIX": prefix,
        "TELLTALE_PARTITIONS": "1",
    }

    def run(command: str, code: int = 0) -> str:
        done = subprocess.run(
            ["sh", "-ec", command],
            cwd=repository,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    run("telltale topics create --rules rules && telltale rules apply rules --message first")
    rule = repository / "rules/coolant-overheat.yaml"
    rule.write_text(rule.read_text().replace("severity: critical", "severity: warning"))
    shutil.copy(CI / "rollout.yaml", repository / "rules")
    names = []
    for name, command in steps():
        names.append(name)
        said = run(command)
        if name == "Backtest":
            assert "coolant-overheat" in said
        if name.startswith("The share"):
            assert "10" in run("telltale rules get rollout")
    assert [name.split(",")[0] for name in names][:3] == ["Lint", "Test", "Backtest"]
    assert '"severity": "warning"' in run("telltale rules get coolant-overheat")
    # Promoted is promoted: a second time there is nothing to promote, and the job says so.
    run(steps()[-1][1], code=2)
    # And a rule that does not do what its test says ends at the tests.
    rule.write_text(rule.read_text().replace("for: 30s", "for: 20s"))
    run(dict(steps())["Lint"])
    run(dict(steps())["Test"], code=1)
