"""How an installation reaches Kafka and the MQTT broker: addresses here, secrets by reference only.

No password, key or certificate stands in a RulePipeline. Each names a key of a Secret in its namespace, which
the pods mount; the operator never reads it.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from rules.documents.closed import Closed

Host = Annotated[
    str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
]
Port = Annotated[int, Field(ge=1, le=65535)]
ADDRESSES = r"^[^\s,:]+:[0-9]{1,5}(,\s*[^\s,:]+:[0-9]{1,5})*$"


class SecretKey(Closed):
    """One key of a Secret in the pipeline's namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]


class Tls(Closed):
    """Certificates of an encrypted connection; without `ca` the system's authorities are trusted."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "has(self.certificate) == has(self.key)",
                    "message": "certificate and key go together",
                }
            ]
        }
    )

    ca: SecretKey | None = None
    """PEM of the authorities that sign the broker's certificate."""
    certificate: SecretKey | None = None
    """PEM of the client's certificate (mutual TLS)."""
    key: SecretKey | None = None
    """PEM of the client's key (mutual TLS)."""


class Sasl(Closed):
    """Who the stages are at Kafka."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: Annotated[str, Field(min_length=1, max_length=253)]
    password_secret: SecretKey


class Kafka(Closed):
    """The Kafka of the installation."""

    bootstrap: Annotated[str, Field(min_length=3, max_length=2_000, pattern=ADDRESSES)]
    """Brokers as host:port, comma separated."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl: Sasl | None = None
    """With SASL_PLAINTEXT and SASL_SSL."""
    tls: Tls | None = None
    """With SSL and SASL_SSL."""

    elsewhere: ClassVar = {
        "bootstrapServers": "bootstrap",
        "brokers": "bootstrap",
        "security": "securityProtocol",
    }

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of the brokers that are named."""
        return tuple(dict.fromkeys(int(each.rsplit(":", 1)[1]) for each in self.bootstrap.split(",")))


class Mqtt(Closed):
    """The MQTT 5 broker of the installation; needed by `uplink` and `downlink`."""

    host: Host
    port: Port | None = None
    """Default: 1883, with `tls` 8883."""
    tls: Tls | None = None
    """Present (`tls: {}` is enough): the connection is encrypted."""
    username: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    password_secret: SecretKey | None = None

    elsewhere: ClassVar = {"url": "host", "broker": "host", "address": "host"}

    @property
    def effective_port(self) -> int:
        """The port that the bridges connect to."""
        return self.port or (8883 if self.tls is not None else 1883)
