"""Specs of pipelines, right and wrong, for the laws."""

import copy
from typing import Any

from hypothesis import strategies as st

from k8s.pipelines.checks import read_shape
from k8s.pipelines.names import Owner
from k8s.pipelines.spec import RulePipelineSpec
from k8s.pipelines.stages import STAGES

OWNER = Owner("fleet", "cars", "11111111-2222-3333-4444-555555555555")


def spec(**said: Any) -> RulePipelineSpec:
    """A spec with these fields beside the necessary ones."""
    read, problems = read_shape(written(**said))
    assert read is not None, problems
    return read


def written(**said: Any) -> dict[str, Any]:
    return {
        "image": "telltale:1",
        "partitions": 8,
        "kafka": {"bootstrap": "k:9092"},
        "mqtt": {"host": "m"},
        **said,
    }


_names = st.sampled_from(["a", "b", "secret"])
_keys = st.builds(lambda name, key: {"name": name, "key": key}, _names, _names)
_tls = st.one_of(
    st.just({}),
    st.builds(lambda ca: {"ca": ca}, _keys),
    st.builds(lambda certificate, key: {"certificate": certificate, "key": key}, _keys, _keys),
)
_scaling = st.one_of(
    st.just({}),
    st.integers(0, 8).map(lambda count: {"replicas": count}),
    st.integers(1, 8).map(lambda most: {"autoscaling": {"maxReplicas": most}}),
)
_more = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans(),
        "image": st.sampled_from(["x:1", "x:2"]),
        "settings": st.dictionaries(
            st.sampled_from(["TELLTALE_LOG_LEVEL", "TELLTALE_QUIET_AFTER"]),
            st.sampled_from(["debug", 1, True, 0.5]),
        ),
        "nodeSelector": st.dictionaries(_names, _names, max_size=2),
        "podLabels": st.dictionaries(
            st.sampled_from(["team", "app.kubernetes.io/instance"]), _names, max_size=2
        ),
        "tolerations": st.lists(st.just({"key": "k", "operator": "Exists"}), max_size=2),
        "terminationGracePeriodSeconds": st.integers(5, 600),
        "canary": st.just({"replicas": 1, "for": "1m"}),
        "resources": st.just({"requests": {"cpu": 1, "ephemeral-storage": "1Gi"}}),
    },
)
stages = st.builds(lambda scaling, more: {**scaling, **more}, _scaling, _more)
specs = st.fixed_dictionaries(
    {
        "image": st.sampled_from(["telltale:1", "telltale:2"]),
        "partitions": st.just(16),
        "replicas": st.none() | st.integers(0, 12),
        "kafka": st.one_of(
            st.just({"bootstrap": "k:9092"}),
            st.builds(
                lambda tls: {"bootstrap": "k:9093, l:9093", "securityProtocol": "SSL", "tls": tls}, _tls
            ),
            st.builds(
                lambda key: {
                    "bootstrap": "k:9093",
                    "securityProtocol": "SASL_SSL",
                    "sasl": {"username": "u", "passwordSecret": key},
                },
                _keys,
            ),
        ),
        "mqtt": st.one_of(st.just({"host": "m"}), st.builds(lambda tls: {"host": "m", "tls": tls}, _tls)),
    },
    optional={
        "stages": st.dictionaries(st.sampled_from(STAGES), stages),
        "topics": st.sampled_from(
            [{"manage": "Job"}, {"manage": "None"}, {"manage": "Strimzi", "strimzi": {"cluster": "k"}}]
        ),
        "imagePullSecrets": st.lists(_names, max_size=2),
        "networkPolicies": st.sampled_from([{"enabled": False}, {"egressPorts": [1, 2]}]),
        "monitoring": st.sampled_from([{"enabled": False}, {"labels": {"release": "prometheus"}}]),
    },
)
"""Specs of the right shape, most of them right."""

_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70_000) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def broken(draw: st.DrawFn) -> Any:
    """A spec with anything at all at one place of it."""
    said: Any = copy.deepcopy(draw(specs))
    at, value = said, draw(_values)
    while True:
        if isinstance(at, dict) and at and draw(st.booleans()):
            key = draw(st.sampled_from(sorted(at)))
            if isinstance(at[key], dict) and at[key]:
                at = at[key]
                continue
            at[key] = value
        elif isinstance(at, dict):
            at[draw(st.text(max_size=8))] = value
        return said
