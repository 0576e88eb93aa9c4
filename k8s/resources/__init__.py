"""Rule resources become live rules: validated, written to telltale.rules, and told of in their statuses.

`run_resources` is what the operator runs while it leads, `run_webhook` what every replica of it does.
"""

from k8s.resources.running import run_resources
from k8s.resources.settings import RuleResources
from k8s.resources.webhook import run_webhook

__all__ = ["RuleResources", "run_resources", "run_webhook"]
