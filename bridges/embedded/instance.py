"""The files of one Artemis instance: listener, journal, who may connect, and who may do what.

MQTT's `vehicles/v1/telemetry` is the address `vehicles.v1.telemetry` to Artemis; its rules of access are
written with the wildcards `*` (one level) and `#` (the rest).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

__all__ = ["Access", "Tls", "write_instance"]

EVERYTHING = (
    "createNonDurableQueue",
    "deleteNonDurableQueue",
    "createDurableQueue",
    "deleteDurableQueue",
    "createAddress",
    "deleteAddress",
    "consume",
    "browse",
    "send",
    "manage",
)
SUBSCRIBE = ("createNonDurableQueue", "createDurableQueue", "createAddress", "consume", "browse")
UNSUBSCRIBE = ("deleteNonDurableQueue", "deleteDurableQueue", "deleteAddress")
PUBLISH = ("send", "createAddress")

LOGGING = """\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
logger.server.name = org.apache.activemq.artemis.core.server
logger.server.level = INFO
"""


@dataclass(frozen=True, slots=True)
class Tls:
    """The broker's certificate and key, and the authority of the clients' (PEM files)."""

    certificate: Path
    key: Path
    client_authority: Path | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """What one user may do under one MQTT topic filter (`+` and `#` as in MQTT)."""

    user: str
    topics: str
    publish: bool = False
    subscribe: bool = False


def write_instance(
    directory: Path,
    *,
    port: int,
    tls: Tls | None,
    users: Mapping[str, str],
    access: Sequence[Access],
) -> list[str]:
    """Write the instance and return the options that its Java needs to find it."""
    etc = directory / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "broker.xml").write_text(_broker(directory, port, tls, users, access))
    (etc / "bootstrap.xml").write_text(
        '<broker xmlns="http://activemq.apache.org/schema"><jaas-security domain="activemq"/>'
        f"<server configuration={quoteattr((etc / 'broker.xml').as_uri())}/></broker>"
    )
    (etc / "management.xml").write_text('<management-context xmlns="http://activemq.apache.org/schema"/>')
    (etc / "log4j2.properties").write_text(LOGGING)
    (etc / "login.config").write_text(
        "activemq { org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule required "
        'org.apache.activemq.jaas.properties.user="users.properties" '
        'org.apache.activemq.jaas.properties.role="roles.properties"; };'
    )
    (etc / "users.properties").write_text("".join(f"{name}={word}\n" for name, word in users.items()))
    (etc / "roles.properties").write_text("".join(f"{_role(name)}={name}\n" for name in users))
    return [
        f"-Dartemis.home={directory}",
        f"-Dartemis.instance={directory}",
        f"-Dartemis.instance.etc={etc}",
        f"-Ddata.dir={directory / 'data'}",
        f"-Djava.security.auth.login.config={etc / 'login.config'}",
        f"-Dlog4j2.configurationFile={etc / 'log4j2.properties'}",
    ]


def _broker(
    directory: Path, port: int, tls: Tls | None, users: Mapping[str, str], access: Sequence[Access]
) -> str:
    data = directory / "data"
    return f"""\
<configuration xmlns="urn:activemq"><core xmlns="urn:activemq:core">
  <name>telltale</name>
  <persistence-enabled>true</persistence-enabled>
  <journal-type>NIO</journal-type>
  <paging-directory>{data}/paging</paging-directory>
  <bindings-directory>{data}/bindings</bindings-directory>
  <journal-directory>{data}/journal</journal-directory>
  <large-messages-directory>{data}/large-messages</large-messages-directory>
  <journal-file-size>4M</journal-file-size>
  <journal-min-files>2</journal-min-files>
  <journal-buffer-timeout>500000</journal-buffer-timeout>
  <disk-scan-period>60000</disk-scan-period>
  <max-disk-usage>-1</max-disk-usage>
  <message-expiry-scan-period>1000</message-expiry-scan-period>
  <security-enabled>{str(bool(users)).lower()}</security-enabled>
  <acceptors><acceptor name="mqtt">{_acceptor(directory / "etc", port, tls)}</acceptor></acceptors>
  <security-settings>{_security(users, access)}</security-settings>
  <address-settings><address-setting match="#">
    <auto-create-queues>true</auto-create-queues>
    <auto-create-addresses>true</auto-create-addresses>
    <max-delivery-attempts>-1</max-delivery-attempts>
    <redelivery-delay>0</redelivery-delay>
  </address-setting></address-settings>
</core></configuration>
"""


def _acceptor(etc: Path, port: int, tls: Tls | None) -> str:
    # Native transports are for Linux on x86 alone; the same plain one everywhere is one thing less to differ.
    parameters = ["protocols=MQTT", "useEpoll=false", "useKQueue=false", "directDeliver=false"]
    if tls is not None:
        (etc / "key-store").write_text(f"source.key={tls.key}\nsource.cert={tls.certificate}\n")
        parameters += ["sslEnabled=true", "keyStoreType=PEMCFG", f"keyStorePath={etc / 'key-store'}"]
        if tls.client_authority is not None:
            parameters += [
                "trustStoreType=PEM",
                f"trustStorePath={tls.client_authority}",
                "needClientAuth=true",
            ]
    return f"tcp://127.0.0.1:{port}?" + ";".join(parameters)


def _security(users: Mapping[str, str], access: Sequence[Access]) -> str:
    if not access:
        return _setting("#", {right: [_role(user) for user in users] for right in EVERYTHING})
    settings = []
    for topics in {each.topics: None for each in access}:
        rights: dict[str, list[str]] = {}
        for each in access:
            if each.topics == topics:
                allowed = (*(PUBLISH if each.publish else ()), *(SUBSCRIBE if each.subscribe else ()))
                for right in dict.fromkeys(allowed):
                    rights.setdefault(right, []).append(_role(each.user))
        settings.append(_setting(topics.replace(".", "\\.").replace("/", ".").replace("+", "*"), rights))
    return "".join(settings)


def _setting(match: str, rights: Mapping[str, Sequence[str]]) -> str:
    permissions = "".join(
        f'<permission type="{right}" roles="{",".join(roles)}"/>' for right, roles in rights.items()
    )
    return f"<security-setting match={quoteattr(match)}>{permissions}</security-setting>"


def _role(user: str) -> str:
    return f"is-{user}"
