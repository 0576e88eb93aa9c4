"""Whether a resource is as it should be: what we say is there, whatever others have added.

The API server fills in defaults and writes quantities its own way, so that what we said is looked for in what
it has, and not the other way round. What we no longer say is noticed by the hash of what was applied last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from k8s.pipelines.names import APPLIED

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?\Z")
_SIZES: dict[str | None, Decimal] = {
    None: Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** (power + 1) for power, unit in enumerate(("k", "M", "G", "T", "P", "E"))},
    **{unit: Decimal(1024) ** (power + 1) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))},
}
_NAMES = ("name", "containerPort", "mountPath", "uid")
"""By which of these the items of a list are told apart, where they have one."""


def is_as_wanted(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether `found` says all that `wanted` says, and was last applied with exactly this."""
    applied = found.get("metadata", {}).get("annotations", {}).get(APPLIED)
    return bool(applied == wanted["metadata"]["annotations"][APPLIED]) and contains(found, wanted)


def contains(found: Any, wanted: Any) -> bool:
    """Whether `wanted` is a part of `found`; what is absent is zero, empty or false, as in Kubernetes."""
    if found is None and not wanted:
        return True
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return False
        return all(contains(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list | tuple):
        return _contains_all(found, wanted)
    return bool(found == wanted) or _same_quantity(found, wanted)


def _contains_all(found: Any, wanted: Sequence[Any]) -> bool:
    if not isinstance(found, list):
        return False
    key = next((key for key in _NAMES if wanted and all(_has(item, key) for item in wanted)), None)
    if key is not None:
        by_name = {item.get(key): item for item in found if isinstance(item, Mapping)}
        return all(item[key] in by_name and contains(by_name[item[key]], item) for item in wanted)
    # Nobody else adds items to a list without names: it is ours as a whole.
    return len(found) == len(wanted) and all(
        contains(each, item) for each, item in zip(found, wanted, strict=True)
    )


def _has(item: Any, key: str) -> bool:
    return isinstance(item, Mapping) and key in item


def _same_quantity(found: Any, wanted: Any) -> bool:
    one, other = _quantity(found), _quantity(wanted)
    return one is not None and one == other


def _quantity(value: Any) -> Decimal | None:
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    return Decimal(match[1]) * _SIZES[match[2]] if match else None
