"""Resources become rules: what is applied runs, what is edited changes, what is deleted goes."""

import pytest

from tests.k8s.resources.conftest import Rules

pytestmark = pytest.mark.integration


def test_what_is_applied_edited_and_deleted_is_on_telltale_rules(rules: Rules) -> None:
    with rules.operator():
        rules.catalog()
        rules.apply("AlertRule", "fast", {"when": "speed > 100"}, labels={"team": "safety"})
        found = rules.wait_documents(lambda it: "AlertRule/fast" in it)
        assert found["AlertRule/fast"]["spec"] == {"when": "speed > 100"}
        assert found["AlertRule/fast"]["metadata"]["labels"] == {"team": "safety"}
        status = rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "fast")
        assert status["revision"] == rules.head().revision
        assert rules.head().author == "operator"

        rules.apply("AlertRule", "fast", {"when": "speed > 90"}, labels={"team": "safety"})
        rules.wait_documents(lambda it: it["AlertRule/fast"]["spec"] == {"when": "speed > 90"})
        assert rules.head().message == "~ AlertRule/fast"

        rules.delete("AlertRule", "fast")
        rules.wait_documents(lambda it: "AlertRule/fast" not in it)
        assert rules.head().message == "- AlertRule/fast"
