"""A fleet of simulated vehicles on MQTT 5, or a recorded drive; the door is the command and its process."""

from bridges.simulator.cli import simulate
from bridges.simulator.fleet import characters_of

__all__ = ["characters_of", "simulate"]
