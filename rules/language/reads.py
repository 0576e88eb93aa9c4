"""What an expression reads and which constants its source needs, named once for a whole environment.

All expressions of one environment share the names, so that their sources can stand side by side in one
generated function: the same signal is the same local in each, and no two constants meet under one name.
"""

from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import dataclass

from rules.language.history import PREFIXES, fence_read
from rules.language.registry import is_fact
from rules.language.tree import Literal, Node
from rules.language.windows import Window


@dataclass(frozen=True, slots=True)
class Read:
    """A value that an expression needs: `name` is the Python local that holds it in `source`.

    Kinds: value (the last known value), prev, changed (bool: this message carries the signal, with another
    value than before), delta, rate (per second), age (whole milliseconds since the signal's last sample),
    window (what `window` asks of the signal's samples, a double), and local (no signal: `vehicle.id`,
    `value`, what the registry says by its key). What a function says of a fence is the value of a signal that
    is named like `inside("depot-1")`; each position is a sample of it. What is not known is UNKNOWN.
    """

    kind: str
    signal: str
    name: str
    window: Window | None = None


class Symbols:
    """The names of one environment."""

    def __init__(
        self, signals: Mapping[str, str], local_names: Mapping[str, str], fences: Collection[str] = ()
    ) -> None:
        """Take (name as written -> canonical name) of the signals, the locals likewise, and fences."""
        self.fences: Mapping[str, str] = {fence: fence for fence in fences}
        """Name as written -> full name."""
        self._fence_slots: dict[str, int] = {}
        self._signals = signals
        self._locals = local_names
        self._slots = {name: slot for slot, name in enumerate(dict.fromkeys(signals.values()))}
        self._local_slots = {name: slot for slot, name in enumerate(local_names)}
        self._constants: dict[tuple[type, object], str] = {}
        self._shared: dict[int, tuple[object, str, frozenset[object]]] = {}
        self._facts: dict[str, str] = {}
        self._windows: dict[tuple[str, Window], str] = {}

    def read(self, kind: str, written: str) -> Read | None:
        """Return the read of `kind` for a name as the author wrote it; None if there is none such."""
        signal = self._signals.get(written)
        if signal is not None:
            return Read(kind, signal, f"{PREFIXES[kind]}_{self._slots[signal]}")
        if kind == "value" and written in self._locals:
            return Read("local", written, f"{PREFIXES['local']}_{self._local_slots[written]}")
        if kind == "value" and is_fact(written):
            local = self._facts.setdefault(written, f"{PREFIXES['fact']}_{len(self._facts)}")
            return Read("local", written, local)
        return None

    def fence(self, function: str, fence: str) -> Read:
        """Return the read of what a function says of a fence."""
        signal = fence_read(function, self.fences.get(fence, fence))
        slot = self._fence_slots.setdefault(signal, len(self._fence_slots))
        return Read("value", signal, f"{PREFIXES['fence']}_{slot}")

    def seeing(self, fences: Mapping[str, str]) -> "Symbols":
        """Return the same names with other fences: what is read has one name in both."""
        other = copy(self)
        other.fences = fences
        return other

    def window(self, written: str, window: Window) -> Read | None:
        """Return the read of a window over a signal as the author wrote it; None if it is no signal."""
        signal = self._signals.get(written)
        if signal is None:
            return None
        name = self._windows.setdefault((signal, window), f"{PREFIXES['window']}_{len(self._windows)}")
        return Read("window", signal, name, window)

    def shared(self, literals: tuple[Node, ...]) -> tuple[str, frozenset[object]]:
        """Return the set of a list that several expressions share, and its name: made once, however long."""
        known = self._shared.get(id(literals))
        if known is None:
            values = frozenset(literal.value for literal in literals if isinstance(literal, Literal))
            known = self._shared[id(literals)] = (literals, self.constant(values), values)
        return known[1:]

    def constant(self, value: object) -> str:
        """Return the name under which `value` is held, the same for equal values of a type."""
        return self._constants.setdefault((type(value), _identity(value)), f"k_{len(self._constants)}")


class Reads:
    """What one expression uses."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._reads: dict[Read, None] = {}
        self._constants: dict[str, object] = {}
        self._limits: dict[tuple[str, int], None] = {}

    def read(self, kind: str, written: str) -> str | None:
        """Note a read and return its local; None if the name is no such thing."""
        read = self._symbols.read(kind, written)
        if read is None:
            return None
        self._reads[read] = None
        return read.name

    def fence(self, function: str, fence: str) -> str:
        """Note what is read of a fence and return its local."""
        read = self._symbols.fence(function, fence)
        self._reads[read] = None
        return read.name

    @property
    def fences(self) -> Collection[str]:
        """The names of all fences."""
        return self._symbols.fences

    def window(self, written: str, window: Window) -> str | None:
        """Note a read of a window and return its local; None if the name is no signal."""
        read = self._symbols.window(written, window)
        if read is None:
            return None
        self._reads[read] = None
        return read.name

    def known(self, written: str) -> bool:
        """Say whether the name is a signal or a local, without noting a read."""
        return self._symbols.read("value", written) is not None

    def shared(self, literals: tuple[Node, ...]) -> str:
        """Note the set of a list that several expressions share, and return its name."""
        name, self._constants[name] = self._symbols.shared(literals)
        return name

    def constant(self, value: object) -> str:
        """Note a constant and return its name."""
        name = self._symbols.constant(value)
        self._constants[name] = value
        return name

    def use(self, name: str, function: object) -> None:
        """Note a support function."""
        self._constants[name] = function

    def limit(self, written: str, milliseconds: int) -> None:
        """Note that a signal's age is compared with this."""
        read = self._symbols.read("age", written)
        if read is not None:
            self._limits[read.signal, milliseconds] = None

    @property
    def reads(self) -> tuple[Read, ...]:
        """Everything read, in the order of the text."""
        return tuple(self._reads)

    @property
    def constants(self) -> Mapping[str, object]:
        """Everything named in the source that is neither a local nor a builtin."""
        return dict(self._constants)

    @property
    def limits(self) -> tuple[tuple[str, int], ...]:
        """(signal, milliseconds) for each comparison of an age."""
        return tuple(self._limits)


def _identity(value: object) -> object:
    # NaN is not equal to itself and -0.0 is equal to 0.0: their text tells them apart.
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, frozenset):
        return frozenset((type(item), repr(item)) for item in value)
    return value
