"""The demo: everything on one machine, live to look at, or counted and compared; the door is its command."""

from bridges.demo.cli import demo

__all__ = ["demo"]
