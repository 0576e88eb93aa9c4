"""The brokers of the demo and of the tests: a real Kafka and a real MQTT broker, started from Python.

They are what production runs against, not look-alikes: Apache Kafka and Apache ActiveMQ Artemis, as
processes that end when the process that started them does.
"""

from bridges.embedded.artemis import EmbeddedMqtt
from bridges.embedded.failures import BrokerFailed, EmbeddedFailure, JarsMissing, JavaMissing, PortBusy
from bridges.embedded.instance import Access, Tls
from bridges.embedded.kafka import EmbeddedKafka

__all__ = [
    "Access",
    "BrokerFailed",
    "EmbeddedFailure",
    "EmbeddedKafka",
    "EmbeddedMqtt",
    "JarsMissing",
    "JavaMissing",
    "PortBusy",
    "Tls",
]
