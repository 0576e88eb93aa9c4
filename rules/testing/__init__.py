"""Tests of rules: a RuleTest's messages go through the folds that run in the stages, and are compared.

`suite` reads what a loaded set holds; `Suite.run` gives a verdict for each test.
"""

from rules.testing.coverage import Branches, Coverage
from rules.testing.expectations import Failure
from rules.testing.suite import Suite, Verdict, only, suite

__all__ = ["Branches", "Coverage", "Failure", "Suite", "Verdict", "only", "suite"]
