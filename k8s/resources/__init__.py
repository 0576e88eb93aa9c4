"""Rule resources become live rules: validated, written to telltale.rules, and told of in their statuses.

`run_resources` is what the operator runs while it leads.
"""

from k8s.resources.running import run_resources
from k8s.resources.settings import RuleResources

__all__ = ["RuleResources", "run_resources"]
