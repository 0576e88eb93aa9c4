"""Which unit an expression has, as far as the catalog says; what compares or adds two of them.

A constant has any unit, a product or quotient none that is known. Nothing is converted: two units that are
written differently are two units.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from rules.documents.signal_catalog import SignalCatalog
from rules.language import DOUBLE
from rules.language.registry import ATTRIBUTES, fact_key
from rules.language.tree import Call, Ident, Node, walk

_SIGNS: Final = {
    "_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "_+_": "+", "_-_": "-",
}  # fmt: skip
_SAME_UNIT: Final = {"prev", "delta", "avg", "min", "max", "sum", "stddev", "percentile", "increase"}
_FACTORS: Final[Mapping[tuple[str, str], float]] = {
    ("m/s", "km/h"): 3.6,
    ("mph", "km/h"): 1.609344,
    ("mile", "km"): 1.609344,
    ("m", "km"): 0.001,
    ("cm", "m"): 0.01,
    ("mm", "m"): 0.001,
    ("Pa", "kPa"): 0.001,
    ("bar", "kPa"): 100.0,
    ("mV", "V"): 0.001,
    ("mA", "A"): 0.001,
    ("W", "kW"): 0.001,
    ("Wh", "kWh"): 0.001,
    ("s", "min"): 1 / 60,
    ("min", "h"): 1 / 60,
    ("s", "h"): 1 / 3600,
    ("ms", "s"): 0.001,
}


class Mixture(NamedTuple):
    """Two units on the two sides of an operator."""

    node: Node
    sign: str
    left: str
    right: str

    @property
    def hint(self) -> str | None:
        """How to make one of the other, where it is known."""
        for (one, other), factor in _FACTORS.items():
            if (self.left, self.right) == (one, other):
                return f"{one} times {factor:.7g} is {other}"
            if (self.right, self.left) == (one, other):
                return f"{one} times {factor:.7g} is {other}"
        return None


class Units:
    """The units of one catalog's signals."""

    def __init__(self, catalog: SignalCatalog) -> None:
        aliases = catalog.aliases
        signals = catalog.spec.signals
        self._units = {name: signal.unit for name, signal in signals.items()}
        facts = catalog.spec.vehicle
        attributes = {} if facts is None else facts.attributes
        self._units |= {
            fact_key(f"{ATTRIBUTES}.{name}", DOUBLE): attribute.unit for name, attribute in attributes.items()
        }
        self._units |= {alias: signals[name].unit for alias, name in aliases.items()}

    def mixtures(self, root: Node) -> Iterator[Mixture]:
        """Yield what adds or compares different units."""
        for node in walk(root):
            if isinstance(node, Call) and node.function in _SIGNS and len(node.args) == 2:
                left, right = (self.unit(it) for it in node.args)
                if left is not None and right is not None and left != right:
                    yield Mixture(node, _SIGNS[node.function], left, right)

    def unit(self, node: Node) -> str | None:
        """The unit of a value; None where there is none, or none that is known."""
        match node:
            case Ident(name=name):
                return self._units.get(name)
            case Call(function="_+_" | "_-_", args=(left, right)):
                found = self.unit(left), self.unit(right)
                return found[0] or found[1] if None in found or found[0] == found[1] else None
            case Call(function="-_", args=(value,)):
                return self.unit(value)
            case Call(function="_?_:_", args=(_, yes, no)):
                found = self.unit(yes), self.unit(no)
                return found[0] or found[1] if None in found or found[0] == found[1] else None
            case Call(function="rate", args=(value, *_)):
                unit = self.unit(value)
                return None if unit is None else f"{unit}/s"
            case Call(function=function, args=(value, *_)) if function in _SAME_UNIT:
                return self.unit(value)
        return None
