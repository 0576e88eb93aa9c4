"""Wrong settings are one clear error at start, and secrets are not shown."""

from pathlib import Path

import pytest

from bridges.settings import DownlinkSettings, MqttSettings, UplinkSettings
from bridges.uplink import routes_of
from pipeline.process import ConfigurationError, load_settings


def load(**environment: str) -> UplinkSettings:
    return load_settings(
        UplinkSettings, None, {f"TELLTALE_{key}": value for key, value in environment.items()}
    )


def test_the_defaults_are_those_of_a_laptop() -> None:
    settings = load()
    assert settings.mqtt.broker("me").port == 1883
    assert settings.uplink.telemetry_topics == ("vehicles/{vehicle_id}/telemetry",)
    assert routes_of(settings).filters("g") == [
        "$share/g/vehicles/+/telemetry",
        "$share/g/vehicles/+/responses",
    ]
    assert DownlinkSettings().downlink.command_topic == "vehicles/{vehicle_id}/commands/{name}"


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        pytest.param({"UPLINK_TELEMETRY_TOPICS": "vehicles/telemetry"}, "needs {vehicle_id}", id="template"),
        pytest.param({"MQTT_TLS_CAFILE": "/ca.pem"}, "ask for tls: true", id="ca-without-tls"),
        pytest.param({"MQTT_TLS": "true", "MQTT_TLS_CERTFILE": "/c.pem"}, "go together", id="half-a-pair"),
        pytest.param({"MQTT_PASSWORD": "secret"}, "asks for a username", id="password-alone"),
        pytest.param({"UPLINK_RECEIVE_MAXIMUM": "0"}, "uplink.receiveMaximum", id="no-window"),
    ],
)
def test_what_is_wrong_is_said(environment: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(**environment)
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


def test_two_templates_for_one_topic_are_wrong() -> None:
    settings = load(UPLINK_TELEMETRY_TOPICS="v/{vehicle_id}/x", UPLINK_RESPONSE_TOPICS="{vehicle_id}/a/x")
    with pytest.raises(ConfigurationError, match=r"uplink\.telemetryTopics, uplink\.responseTopics"):
        routes_of(settings)


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"mqtt\.tlsCafile: .*missing\.pem cannot be used"):
        MqttSettings(tls=True, tls_cafile=tmp_path / "missing.pem").broker("me")
    pair = MqttSettings(tls=True, tls_certfile=tmp_path / "c.pem", tls_keyfile=tmp_path / "k.pem")
    with pytest.raises(ConfigurationError, match=r"mqtt\.tlsCertfile and mqtt\.tlsKeyfile"):
        pair.broker("me")


def test_several_topics_are_a_list(tmp_path: Path) -> None:
    settings = load(UPLINK_TELEMETRY_TOPICS="a/{vehicle_id},b/{vehicle_id}")
    assert settings.uplink.telemetry_topics == ("a/{vehicle_id}", "b/{vehicle_id}")


def test_a_password_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    settings = load(MQTT_USERNAME="u", MQTT_PASSWORD_FILE=str(tmp_path / "password"))
    assert settings.mqtt.broker("me").password == "secret"
    assert "secret" not in repr(settings)
