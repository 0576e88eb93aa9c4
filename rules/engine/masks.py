"""Masks: integers with a bit for each rule. They may be thousands of bits wide, nearly all of them zero."""

_NARROW = 256


def bits(mask: int) -> list[int]:
    """The places of a mask's bits, ascending."""
    found: list[int] = []
    if mask.bit_length() <= _NARROW:
        _take(mask, 0, found)
        return found
    packed = mask.to_bytes(mask.bit_length() // 8 + 1, "little")
    size = _NARROW // 8
    begin = 0
    while rest := packed[begin:].lstrip(b"\0"):
        begin = len(packed) - len(rest)
        _take(int.from_bytes(packed[begin : begin + size], "little"), begin * 8, found)
        begin += size
    return found


def _take(mask: int, base: int, found: list[int]) -> None:
    while mask:
        low = mask & -mask
        found.append(base + low.bit_length() - 1)
        mask ^= low
