"""CustomResourceDefinitions, made from the models of documents: file and cluster say the same."""

from k8s.crds.definition import definition
from k8s.crds.files import directory, texts, write
from k8s.crds.kinds import CUSTOM_KINDS, DOCUMENT_KINDS, PIPELINE_KIND, CustomKind
from k8s.crds.rule_status import DocumentStatus, Problem, RuleStatus

__all__ = [
    "CUSTOM_KINDS",
    "DOCUMENT_KINDS",
    "PIPELINE_KIND",
    "CustomKind",
    "DocumentStatus",
    "Problem",
    "RuleStatus",
    "definition",
    "directory",
    "texts",
    "write",
]
