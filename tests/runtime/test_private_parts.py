"""What the runtime leans on inside Faust, mode and aiokafka has not changed since it was read.

When this fails after an upgrade: read what changed, see whether `transport.py` (Faust and the consumer) or
`transactions.py` (the producer) still does the right thing, run all tests of the runtime, and only then put
the new digests here: `python -m tests.runtime.test_private_parts` prints them.
"""

import hashlib
import importlib
import importlib.metadata
import inspect
from typing import Any

import pytest

VERSIONS = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}

DIGESTS: dict[str, str] = {
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.__post_init__": "866852b55c0c1114",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.on_start": "35dffc4989978126",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.on_thread_stop": "7ec142b2e1c4337b",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._create_consumer": "6712417be2020894",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.subscribe": "f45b3a1cb096ca9c",
    "faust.transport.drivers.aiokafka:ConsumerRebalanceListener": "bcfae463240c2117",
    "faust.transport.drivers.aiokafka:Consumer": "bebb4d8ebec66da7",
    "faust.transport.consumer:Consumer.__init__": "4a7d476a3557b6de",
    "faust.transport.consumer:Consumer._reset_state": "0ef1f033c5b8d297",
    "faust.transport.consumer:Consumer._drain_messages": "30fba6e560f13bf7",
    "faust.transport.consumer:Consumer.ack": "478fc04e29efe938",
    "faust.transport.consumer:Consumer.getmany": "1b41be7cf1f1a173",
    "faust.transport.consumer:Consumer.perform_seek": "8c88bc25f247c23f",
    "faust.transport.consumer:Consumer.pause_partitions": "68071a9d5679163e",
    "faust.transport.consumer:Consumer.resume_partitions": "5cc045e6e4f8324f",
    "faust.transport.consumer:Consumer.stop_flow": "5fd3d0a652a7755f",
    "faust.transport.consumer:Consumer.resume_flow": "63f6ce287325991e",
    "faust.transport.consumer:Consumer.on_partitions_revoked": "2550a9105d4c6b24",
    "faust.transport.consumer:Consumer.on_partitions_assigned": "0e5b1be4b419a18e",
    "faust.transport.consumer:ThreadDelegateConsumer": "e1d8bb2e7efc8d91",
    "faust.transport.consumer:Fetcher": "c2fd0d6f64f94c62",
    "faust.transport.conductor:Conductor._update_tp_index": "34f9b85a11578cc3",
    "faust.transport.conductor:ConductorCompiler": "b0dd1dbd3eb1f5b8",
    "faust.serializers.schemas:Schema.compile": "4cd234faf34134ec",
    "faust.tables.recovery:Recovery.on_rebalance": "23169b7f9f5b1b4a",
    "faust.tables.recovery:Recovery._resume_streams": "e841a9bf6c727d03",
    "faust.app.base:BootStrategy": "a70f504872aba25d",
    "faust.app.base:App._new_transport": "2beb690a9fb2a660",
    "faust.app.base:App._new_consumer": "365c296059a6af68",
    "faust.app.base:App._create_directories": "0c5f487c7b641f86",
    "faust.app.base:App._stop_consumer": "61a44207b1dac903",
    "faust.app.base:App._on_partitions_revoked": "0179134ab9016de8",
    "faust.app.base:App._on_partitions_assigned": "6a8bb930f6ed98fb",
    "faust.types.tuples:ConsumerMessage": "7963efeb8ccb4f30",
    "mode.threads:ServiceThread": "7a54cbbbc029df6e",
    "mode.threads:QueueServiceThread": "abcd88f27e362d15",
    "aiokafka.consumer.fetcher:FetchResult": "63573b686fb4c990",
    "aiokafka.consumer.fetcher:FetchError": "d46c5896b84d2dcc",
    "aiokafka.consumer.fetcher:Fetcher._create_fetch_waiter": "797a9db9feffeb06",
    "aiokafka.consumer.fetcher:Fetcher._fetch_requests_routine": "6c610471e286f6e7",
    "aiokafka.consumer.fetcher:Fetcher._get_actions_per_node": "d1ddaa3c0e03a35e",
    "aiokafka.consumer.fetcher:Fetcher._proc_fetch_request": "074d9f91c52485f1",
    "aiokafka.consumer.fetcher:Fetcher.fetched_records": "c9d369de9e887a3d",
    "aiokafka.consumer.subscription_state:SubscriptionState": "6873f07eff7a8c00",
    "aiokafka.consumer.subscription_state:TopicPartitionState": "818a98ee8731ee5a",
    "aiokafka.consumer.group_coordinator:GroupCoordinator._send_req": "cd5fbf61dfc7caac",
    "aiokafka.consumer.group_coordinator:GroupCoordinator._maybe_leave_group": "42310284d569852b",
    "aiokafka.consumer.group_coordinator:GroupCoordinator._perform_assignment": "b2065643ec3dce98",
    "aiokafka.consumer.group_coordinator:GroupCoordinator._on_join_complete": "710ef4bba4f06332",
    "aiokafka.consumer.group_coordinator:GroupCoordinator.request_rejoin": "b2d45f3681d6d5e6",
    "aiokafka.consumer.group_coordinator:GroupCoordinator.reset_generation": "68df0a466bfb4410",
    "aiokafka.consumer.group_coordinator:GroupCoordinator._do_heartbeat": "06f41f69acc462b0",
    "aiokafka.producer.producer:AIOKafkaProducer.stop": "597b79e1d380bc0e",
    "aiokafka.producer.producer:AIOKafkaProducer.send_batch": "0de3fc404cd3cf5c",
    "aiokafka.producer.message_accumulator:BatchBuilder": "0988086fbf9bee3e",
    "aiokafka.producer.message_accumulator:MessageAccumulator.add_batch": "7027096720be2751",
    "aiokafka.producer.message_accumulator:MessageAccumulator._pop_batch": "b7c0dc32e629a7d0",
    "aiokafka.producer.message_accumulator:MessageAccumulator.flush_for_commit": "3cc92402601af5a9",
    "aiokafka.producer.sender:Sender": "c37cd8f0ddaa50ed",
    "aiokafka.producer.transaction_manager:TransactionManager": "4380ef4ef0513588",
    "aiokafka.protocol.api:Request": "83da61187d3a8304",
    "aiokafka.protocol.api:RequestStruct": "253b240c5da7a20f",
    "aiokafka.admin.client:AIOKafkaAdminClient._send_request": "40ce892c1be526bd",
}


def digest(path: str) -> str:
    """Of the source of `module:qualified.name`, without the way it is laid out."""
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    source = " ".join(inspect.getsource(found).split())
    return hashlib.sha256(source.encode()).hexdigest()[:16]


@pytest.mark.parametrize("package", VERSIONS)
def test_the_packages_are_the_ones_that_were_read(package: str) -> None:
    assert importlib.metadata.version(package) == VERSIONS[package]


@pytest.mark.parametrize("path", DIGESTS)
def test_a_private_part_is_as_it_was_read(path: str) -> None:
    assert digest(path) == DIGESTS[path], f"{path} changed: see this module's docstring"


if __name__ == "__main__":
    for known in DIGESTS:
        print(f'    "{known}": "{digest(known)}",')
