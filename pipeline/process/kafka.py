"""How a client of ours reaches Kafka: keyword arguments that aiokafka's clients all take.

This package imports no Kafka client; whoever has one passes these to it.
"""

from __future__ import annotations

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
