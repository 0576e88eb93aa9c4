"""docs/kubernetes.md says what the code does: a valid example, every reason, the order of an upgrade."""

import re
from pathlib import Path

import yaml

from k8s.pipelines import reporting
from k8s.pipelines.checks import read_spec
from k8s.pipelines.rollout import ORDER
from k8s.pipelines.status import CanaryStatus

PAGE = (Path(__file__).parents[3] / "docs" / "kubernetes.md").read_text()


def test_the_example_is_valid() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    read, problems = read_spec(yaml.load(text, yaml.CSafeLoader))
    assert problems == ()
    assert read is not None
    assert read.stages.alerts.canary is not None


def test_every_reason_stands_in_the_table() -> None:
    code = Path(reporting.__file__).read_text()
    reasons = set(re.findall(r'"(?:True|False)", (?:f)?"([A-Z][A-Za-z]+)"', code))
    reasons -= {"False"}
    assert {"AllStagesReady", "InvalidSpec", "Upgrading"} <= reasons
    states = CanaryStatus.model_fields["state"].annotation.__args__
    reasons |= {f"Canary{state}" for state in states if state not in ("Promoted", "RolledBack")}
    assert sorted(reason for reason in reasons if f"`{reason}`" not in PAGE) == []


def test_the_order_of_an_upgrade_is_told() -> None:
    told = re.sub(r"\s+", " ", PAGE)
    assert ", ".join(f"`{stage}`" for stage in ORDER) in told
