"""How a client of ours reaches Kafka, and leaves it: what aiokafka's clients all take, and how they all end.

This package imports no Kafka client; whoever has one passes these to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

from pipeline.process.failures import ConfigurationError
from pipeline.process.settings import KafkaSettings, ProcessSettings


def client_options(settings: ProcessSettings, suffix: str = "") -> dict[str, Any]:
    """`bootstrap_servers`, `client_id` and security; `suffix` tells clients of one process apart.

    ConfigurationError where a certificate or key cannot be read.
    """
    kafka = settings.kafka
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap.split(","),
        "client_id": f"{settings.client_id}-{suffix}" if suffix else settings.client_id,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = (
            kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
        )
    return options


async def stop_client(client: Any, within_s: float = 5.0) -> None:
    """Stop a consumer or producer whose broker may be gone: within this time, and it raises nothing.

    aiokafka waits for what the broker does not answer, and a consumer that has lost it raises the
    cancellation of its own fetches: whoever awaited that would end as if he had been cancelled himself.
    """
    stopping = asyncio.ensure_future(client.stop())
    try:
        done, _ = await asyncio.wait({stopping}, timeout=within_s)
    finally:
        stopping.cancel()
    if done and not stopping.cancelled() and stopping.exception() is None:
        return
    # Half stopped it would keep its connections, and ask for metadata for ever.
    closing = asyncio.ensure_future(client._client.close())
    await asyncio.wait({closing}, timeout=within_s)
    closing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        closing.done() and closing.exception()


def ssl_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """TLS that checks the brokers' names and certificates, with the client's own where one is set."""
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"kafka.sslCafile: {kafka.ssl_cafile} cannot be used: {error}") from error
    if kafka.ssl_certfile and kafka.ssl_keyfile:
        try:
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"kafka.sslCertfile and kafka.sslKeyfile: {kafka.ssl_certfile} and {kafka.ssl_keyfile}"
                f" cannot be used: {error}"
            ) from error
    return context
