"""Rules and tests as an author writes them, from a few words."""

from rules.documents import Source, parse
from rules.testing import Suite, suite

CATALOG = """
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: default}
spec:
  timestamp: {path: ts}
  signals:
    Vehicle.Speed: {path: speed, unit: km/h, alias: speed, staleAfter: 5m}
    Vehicle.Belt: {path: belt, type: boolean, alias: belted}
    Vehicle.Gear: {path: gear, type: string, alias: gear}
    Vehicle.Load: {path: load, alias: load}
"""
FAST = """
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: fast}
spec:
  when: speed > 130
  for: 5s
  severity: [{critical: speed > 150}, {warning: true}]
  labels: {topic: driving}
  annotations: {summary: "{{ vehicle.id }} at {{ value }}"}
  actions:
    - command: {name: slow-down, payload: {limit: 130, speed: "{{ speed }}"}, expiresAfter: 30s}
    - upon: resolved
      publish: {topic: told}
"""
BRAKES = """
apiVersion: telltale.dev/v1alpha1
kind: SequenceRule
metadata: {name: brakes}
spec:
  within: 10s
  steps: [{name: quick, when: speed > 100}, {name: still, when: speed == 0}]
  onTimeout: {severity: info}
"""


def suite_of(spec: str, *rules: str, catalog: str = "") -> Suite:
    """One test, `spec` in YAML, over these rules; `catalog` is a line more in the catalog's spec."""
    test = f"apiVersion: telltale.dev/v1alpha1\nkind: RuleTest\nmetadata: {{name: t}}\nspec:\n{spec}"
    texts = {
        "catalog.yaml": f"{CATALOG}  {catalog}\n",
        "rules.yaml": "---".join(rules or (FAST,)),
        "a.test.yaml": test,
    }
    found = suite(parse(Source(name, text) for name, text in texts.items()))
    assert isinstance(found, Suite), [each.format() for each in found]
    return found


def told(spec: str, *rules: str) -> list[str]:
    """What the test's failures say, each as lines without the file."""
    (verdict,) = suite_of(spec, *rules).run()
    return [failure.format().removeprefix("a.test.yaml:") for failure in verdict.failures]
