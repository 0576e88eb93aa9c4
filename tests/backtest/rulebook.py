"""Rules and traces that the tests of the backtest share."""

from pathlib import Path

from pipeline.backtest.asked import Asked, Gaps
from pipeline.backtest.running import Result, backtest

START = 1_767_225_600_000

RULES = """\
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: default}
spec:
  timestamp: {path: ts, format: unixMillis}
  sequence: {path: seq}
  position: {latitude: pos.lat, longitude: pos.lon}
  signals:
    Vehicle.Speed: {path: speed, unit: km/h, min: 0, max: 300, alias: speed, staleAfter: 10m}
    Vehicle.Belt: {path: cabin.belt, type: boolean, alias: belt}
    Vehicle.Gear: {path: gear, type: int8, alias: gear}
    Vehicle.Driver: {path: driver, type: string, alias: driver}
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: fast}
spec:
  when: speed > 120
  for: 10s
  keepFiringFor: 5s
  severity: critical
  actions: [{command: {name: slow-down, payload: {limit: 100}}}]
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: unbelted}
spec: {when: speed > 10 && belt == false, severity: warning}
"""


def write_rules(directory: Path, text: str = RULES) -> Path:
    """The rules in a file of their own."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "rules.yaml"
    file.write_text(text)
    return file


def run(rules: Path, *files: Path, against: Path | None = None, workers: int = 1, **gaps: object) -> Result:
    """A backtest in this process, or in several."""
    asked = Asked(
        (rules,),
        files,
        against=() if against is None else (against,),
        gaps=Gaps(**gaps),  # type: ignore[arg-type]
        workers=workers,
    )
    return backtest(asked, lambda _share, _messages: None)
