"""What can be wrong with state that was kept."""


class StateFormatError(Exception):
    """State that this version cannot read. Trying again changes nothing; another version may know it."""
