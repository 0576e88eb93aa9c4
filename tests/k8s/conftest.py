"""A real control plane for the tests of what runs on Kubernetes."""

from tests.controlplane.fixtures import (
    control_plane,
    namespace,
    process_namespace,
    process_node,
    pytest_collection_finish,
)

__all__ = [
    "control_plane",
    "namespace",
    "process_namespace",
    "process_node",
    "pytest_collection_finish",
]
