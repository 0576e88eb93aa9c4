"""What the bridges count: every message and every command ends in one counter, so that sums can be compared.

uplink     received = produced + dead letters + abandoned (the broker sends those again) + in flight
downlink   requested = published + expired + undeliverable + dead letters + in flight
               + repeated (recorded before) + returned (read again by whoever has the partition next)
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_MILLISECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

UPLINK_RECEIVED = Counter("telltale_uplink_received_messages_total", "Messages that the MQTT broker sent")
UPLINK_REDELIVERED = Counter(
    "telltale_uplink_redelivered_messages_total", "Messages among them that the broker marks as sent before"
)
UPLINK_PRODUCED = Counter(
    "telltale_uplink_produced_records_total",
    "Messages that are in Kafka, by the topic they are in",
    ["topic"],
)
UPLINK_DEAD_LETTERS = Counter(
    "telltale_uplink_dead_letters_total", "Messages that became a dead letter, by its code", ["code"]
)
UPLINK_ABANDONED = Counter(
    "telltale_uplink_abandoned_messages_total",
    "Messages not in Kafka when the process ended; the broker sends them again",
)
UPLINK_ROUND_SECONDS = Histogram(
    "telltale_uplink_round_seconds", "From a round's first byte to Kafka's answer", buckets=_MILLISECONDS
)
UPLINK_TICKS = Counter("telltale_uplink_ticks_total", "Ticks sent, each to every partition")
UPLINK_TICKS_WITHHELD = Counter(
    "telltale_uplink_ticks_withheld_total", "Checks at which a due tick was withheld, by reason", ["reason"]
)
UPLINK_IN_FLIGHT = Gauge("telltale_uplink_in_flight_messages", "Messages received and not yet acknowledged")
UPLINK_CONNECTED = Gauge("telltale_uplink_mqtt_connected", "1 while there is a connection to the MQTT broker")
UPLINK_CONNECTIONS = Counter(
    "telltale_uplink_mqtt_connections_total", "Connections opened to the MQTT broker"
)

DOWNLINK_REQUESTED = Counter("telltale_downlink_requested_commands_total", "Commands read from Kafka")
DOWNLINK_DELIVERIES = Counter(
    "telltale_downlink_commands_total", "Commands that were dealt with, by what became of them", ["state"]
)
DOWNLINK_SENT = Counter(
    "telltale_downlink_sent_messages_total", "Messages published to the MQTT broker, repetitions included"
)
DOWNLINK_REPEATED = Counter(
    "telltale_downlink_repeated_commands_total",
    "Commands read again whose delivery was already recorded, and that were not sent again",
)
DOWNLINK_RETURNED = Counter(
    "telltale_downlink_returned_commands_total",
    "Commands given back unfinished; whoever has the partition goes on",
)
DOWNLINK_DEAD_LETTERS = Counter(
    "telltale_downlink_dead_letters_total",
    "Records that are no usable command, by the dead letter's code",
    ["code"],
)
DOWNLINK_PUBLISH_SECONDS = Histogram(
    "telltale_downlink_publish_seconds", "From a command's PUBLISH to its PUBACK", buckets=_MILLISECONDS
)
DOWNLINK_IN_FLIGHT = Gauge("telltale_downlink_in_flight_commands", "Commands read and not yet dealt with")
DOWNLINK_LAG = Gauge("telltale_downlink_lag_records", "Records of this process's partitions not yet read")
DOWNLINK_CONNECTED = Gauge(
    "telltale_downlink_mqtt_connected", "1 while there is a connection to the MQTT broker"
)
DOWNLINK_CONNECTIONS = Counter(
    "telltale_downlink_mqtt_connections_total", "Connections opened to the MQTT broker"
)
