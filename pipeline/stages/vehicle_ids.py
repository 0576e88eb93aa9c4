"""What can be a vehicle's id: the key of every record about it."""

MOST_BYTES = 256


def vehicle_id_problem(key: bytes) -> str | None:
    """Why a key is no vehicle's id; None for one that is."""
    if not key:
        return "the vehicle id is empty"
    if len(key) > MOST_BYTES:
        return f"the vehicle id has {len(key)} bytes, at most {MOST_BYTES}"
    try:
        key.decode()
    except UnicodeDecodeError:
        return "the vehicle id is not UTF-8"
    return "the vehicle id holds a zero character" if b"\0" in key else None
