"""What the back end cannot write: one exception, which becomes a problem with the place of its node."""

from rules.language.tree import Node


class Refused(Exception):
    """The tree holds something that this back end does not offer; `node` says where."""

    def __init__(self, code: str, message: str, hint: str | None, node: Node) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.node = code, message, hint, node
