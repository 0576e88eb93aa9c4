"""Bytes between MQTT and Kafka, untouched: the processes `uplink` and `downlink`; brokers, fleet and demo.

The doors are the entry points in pyproject.toml (`bridges.uplink:process`, `bridges.downlink:process`,
`bridges.cli:app`), so that whoever asks for one loads no other. What is sent is never interpreted here.
"""

__all__: list[str] = []
