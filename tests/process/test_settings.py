"""Settings come from the environment, over a file, over defaults; whatever is wrong is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, SecretStr, ValidationError

from pipeline.process import (
    ConfigurationError,
    Milliseconds,
    ProcessSettings,
    Seconds,
    SettingsGroup,
    load_settings,
)
from pipeline.process.keys import camel, keys_of, snake
from pipeline.process.sources import resolve


class Broker(SettingsGroup):
    host: str = "localhost"
    port: int = Field(default=1883, ge=1)
    password: SecretStr | None = None
    topics: tuple[str, ...] = ()
    routes: dict[str, str] = Field(default_factory=dict)


class Example(ProcessSettings):
    broker: Broker = Broker()
    mode: Literal["fast", "safe"] = "safe"
    quiet_after_ms: Milliseconds = 10_000
    pause_s: Seconds | None = None


def read(
    environment: Mapping[str, str] | None = None, file: str | None = None, directory: Path | None = None
) -> Example:
    path = None
    if file is not None:
        assert directory is not None
        path = directory / "telltale.yaml"
        path.write_text(file, encoding="utf-8")
    return load_settings(Example, path, environment or {})


def problems(
    environment: Mapping[str, str] | None = None, file: str | None = None, directory: Path | None = None
) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(environment, file, directory)
    assert caught.value.exit_code == 2
    place = f"{directory}/" if directory else "\0"
    return [problem.replace(place, "") for problem in caught.value.problems]


def test_the_environment_is_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    found = read({"TELLTALE_BROKER_PORT": "3"}, "broker: {port: 2, host: from-file}", tmp_path)
    assert (found.broker.port, found.broker.host, found.mode) == (3, "from-file", "safe")


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("mode: fast")
    assert read({"TELLTALE_CONFIG": str(tmp_path / "a.yaml")}).mode == "fast"


def test_constructing_settings_reads_neither_environment_nor_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLTALE_MODE", "fast")
    assert Example().mode == "safe"


def test_settings_are_closed_and_frozen() -> None:
    with pytest.raises(ValidationError):
        Example(moed="fast")  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        Example().mode = "fast"  # type: ignore[misc]


def test_a_number_from_code_is_in_the_fields_own_unit() -> None:
    assert Example().quiet_after_ms == 10_000
    made = Example(quiet_after_ms=250, pause_s=2.5)
    assert (made.quiet_after_ms, made.pause_s) == (250, 2.5)


def test_a_bare_number_that_a_person_writes_is_seconds_whatever_the_field(tmp_path: Path) -> None:
    found = read({"TELLTALE_QUIET_AFTER": "3"}, "pause: 4", tmp_path)
    assert (found.quiet_after_ms, found.pause_s) == (3000, 4.0)


def test_a_duration_carries_its_unit_in_the_value_not_in_the_key(tmp_path: Path) -> None:
    found = read({"TELLTALE_DRAIN_TIMEOUT": "1m30s", "TELLTALE_PAUSE": "250ms"}, "quietAfter: 3s", tmp_path)
    assert (found.drain_timeout_s, found.pause_s, found.quiet_after_ms) == (90.0, 0.25, 3000)


@pytest.mark.parametrize(
    "written", ["on", "off", "no", "yes", "22:00", "1_000", "0x10", "1e3", "007", "2026-01-01"]
)
def test_a_text_of_the_file_is_what_it_is_in_the_environment(tmp_path: Path, written: str) -> None:
    assert read(None, f"broker: {{host: {written}}}", tmp_path) == read({"TELLTALE_BROKER_HOST": written})


def test_an_empty_variable_and_null_count_as_not_set(tmp_path: Path) -> None:
    found = read(
        {"TELLTALE_MODE": "", "TELLTALE_BROKER_PASSWORD_FILE": ""}, "startTimeout: null\nprefix:\n", tmp_path
    )
    assert (found.mode, found.start_timeout_s, found.prefix, found.broker.password) == (
        "safe",
        None,
        "",
        None,
    )


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    assert read(None, "# nothing\n", tmp_path) == read()


@pytest.mark.parametrize("written", ["a,b", " a , b ,", '["a", "b"]'])
def test_a_list_is_comma_separated_or_json_in_either_source(tmp_path: Path, written: str) -> None:
    assert read({"TELLTALE_BROKER_TOPICS": written}).broker.topics == ("a", "b")
    quoted = written.replace("'", "''")
    assert read(None, f"broker: {{topics: '{quoted}'}}", tmp_path).broker.topics == ("a", "b")


def test_mappings_and_lists_come_from_the_file_or_as_json(tmp_path: Path) -> None:
    found = read(None, "broker: {topics: [a, b], routes: {x/+: vehicle.raw}}", tmp_path).broker
    assert (found.topics, found.routes) == (("a", "b"), {"x/+": "vehicle.raw"})
    assert read({"TELLTALE_BROKER_ROUTES": '{"x/+": "vehicle.raw"}'}).broker.routes == found.routes


def test_a_secret_may_be_in_a_file_named_by_either_source(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hush \n")
    for found in (
        read({"TELLTALE_BROKER_PASSWORD_FILE": str(secret)}),
        read(None, f"broker: {{passwordFile: {secret}}}", tmp_path),
    ):
        assert found.broker.password is not None
        assert found.broker.password.get_secret_value() == "hush "


def test_a_secret_given_twice_or_in_a_missing_file_is_an_error(tmp_path: Path) -> None:
    found = problems({"TELLTALE_BROKER_PASSWORD": "x", "TELLTALE_BROKER_PASSWORD_FILE": "/none"})
    assert found == [
        "broker.password: both TELLTALE_BROKER_PASSWORD and TELLTALE_BROKER_PASSWORD_FILE are set; keep one"
    ]
    found = problems({"TELLTALE_BROKER_PASSWORD_FILE": "/none"})
    assert found == [
        "broker.password: /none cannot be read: No such file or directory"
        " (from TELLTALE_BROKER_PASSWORD_FILE)"
    ]
    found = problems(None, "broker: {password: x, passwordFile: /none}", tmp_path)
    assert found == ["telltale.yaml:1: both broker.password and broker.passwordFile are set; keep one"]


def test_all_errors_come_at_once_with_value_and_place(tmp_path: Path) -> None:
    found = problems(
        {"TELLTALE_BROKER_PORT": "0", "TELLTALE_KAFKA_BOOTSTRAP": "localhost"},
        "mode: quick\n\ndrainTimeout: 5 minutes\nbroker:\n  hots: a\nkakfa: {}\n",
        tmp_path,
    )
    assert found == [
        "telltale.yaml:5: there is no setting broker.hots; did you mean broker.host?",
        "telltale.yaml:6: there is no setting kakfa; `telltale settings` lists them all",
        "kafka.bootstrap: 'localhost' is not host:port, such as localhost:9092"
        " (from TELLTALE_KAFKA_BOOTSTRAP)",
        "drainTimeout: '5 minutes' is not a duration; write 25s, 1m30s, 250ms, or a number of seconds"
        " (from telltale.yaml:3)",
        "broker.port: '0' should be greater than or equal to 1 (from TELLTALE_BROKER_PORT)",
        "mode: 'quick' should be 'fast' or 'safe' (from telltale.yaml:1)",
    ]


def test_a_key_as_python_spells_it_is_corrected(tmp_path: Path) -> None:
    assert problems(None, "kafka: {sasl_username: x}", tmp_path) == [
        "telltale.yaml:1: there is no setting kafka.sasl_username; did you mean kafka.saslUsername?"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "mode: fast\nmode: safe\n", "telltale.yaml:2: mode stands here again, first in line 1", id="twice"
        ),
        pytest.param("- a\n", "telltale.yaml:1: holds keys with values", id="list"),
        pytest.param("a: [", "telltale.yaml:", id="broken"),
        pytest.param("? [a]\n: b\n", "telltale.yaml:1: a key is a plain word", id="key"),
        pytest.param("mode: {a: b}", "mode: ", id="mapping-for-text"),
        pytest.param(
            "kafka: x", "telltale.yaml:1: kafka holds keys of its own, such as kafka.bootstrap", id="no-group"
        ),
        pytest.param("a: *b", "telltale.yaml:1:4: is not YAML", id="alias"),
        pytest.param("a: " + "[" * 3000, "telltale.yaml", id="deep"),
        pytest.param("a: &a [*a]", "telltale.yaml", id="endless"),
        pytest.param("\x00", "telltale.yaml", id="control"),
    ],
)
def test_a_file_of_the_wrong_form_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    assert any(problem.startswith(told) for problem in problems(None, text, tmp_path))


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    assert problems({"TELLTALE_CONFIG": "/none.yaml"}) == ["/none.yaml: there is no such file"]
    (tmp_path / "x").write_bytes(b"\xff\xfe\xff")
    assert "cannot be read" in problems({"TELLTALE_CONFIG": str(tmp_path / "x")})[0]
    assert "cannot be read" in problems({"TELLTALE_CONFIG": str(tmp_path)})[0]


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_file_gives_settings_or_problems_never_a_traceback(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.yaml"
        path.write_text(text, encoding="utf-8", errors="ignore")
        resolved = resolve(Example, path, {})
    assert (resolved.settings is None) == bool(resolved.problems)


def test_a_wrong_secret_is_never_shown(tmp_path: Path) -> None:
    class Strict(ProcessSettings):
        key: SecretStr = Field(default=SecretStr("0123456789"), min_length=10)

    with pytest.raises(ConfigurationError) as caught:
        load_settings(Strict, None, {"TELLTALE_KEY": "hush"})
    assert "hush" not in str(caught.value)
    assert "key: should have" in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        pytest.param(
            {"SECURITY_PROTOCOL": "SASL_SSL"},
            "kafka: SASL_SSL needs saslUsername and saslPassword",
            id="sasl",
        ),
        pytest.param(
            {"SSL_CERTFILE": "/a.pem"}, "kafka: sslCertfile and sslKeyfile go together", id="half-mtls"
        ),
        pytest.param({"BOOTSTRAP": "a:1,b"}, "kafka.bootstrap: 'b' is not host:port", id="second-address"),
        pytest.param({"BOOTSTRAP": "a:99999"}, "kafka.bootstrap: 'a:99999' is not host:port", id="port"),
    ],
)
def test_kafka_settings_that_do_not_fit_together_are_told(variables: dict[str, str], told: str) -> None:
    found = problems({f"TELLTALE_KAFKA_{name}": value for name, value in variables.items()})
    assert found[0].startswith(told)


@pytest.mark.parametrize("prefix", ["a b", "ä", "x" * 151, "a/b"])
def test_a_prefix_that_kafka_would_refuse_is_refused(prefix: str) -> None:
    assert "holds letters" in problems({"TELLTALE_PREFIX": prefix})[0]


def test_a_slip_in_a_variable_is_warned_of() -> None:
    resolved = resolve(Example, None, {"TELLTALE_KAFKA_BOOTSTAP": "a:1"})
    assert resolved.warnings == (
        "TELLTALE_KAFKA_BOOTSTAP is no setting of this process and is ignored; did you mean"
        " TELLTALE_KAFKA_BOOTSTRAP?",
    )


def test_what_kubernetes_or_another_process_adds_is_no_slip() -> None:
    class Other(ProcessSettings):
        mods: str = ""

    environment = {"TELLTALE_UPLINK_SERVICE_HOST": "10.0.0.1", "TELLTALE_MODS": "x"}
    assert resolve(Example, None, environment, others=lambda: keys_of(Other)).warnings == ()


def test_one_file_serves_several_processes(tmp_path: Path) -> None:
    class Other(ProcessSettings):
        depth: int = 1

    path = tmp_path / "a.yaml"
    path.write_text("depth: 2\nmode: fast\n")
    assert resolve(Example, path, {}, others=lambda: keys_of(Other)).settings == Example(mode="fast")
    assert resolve(Example, path, {}).settings is None


def test_each_value_remembers_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("\nmode: fast\n")
    found = {it.key.key: it.source for it in resolve(Example, path, {"TELLTALE_PREFIX": "x."}).found}
    assert (found["mode"], found["prefix"], found["httpPort"]) == (f"{path}:2", "TELLTALE_PREFIX", "default")


def test_every_key_has_a_variable_of_its_own_and_a_yaml_name() -> None:
    names = {key.key: key.variable for key in keys_of(Example)}
    assert names["kafka.saslUsername"] == "TELLTALE_KAFKA_SASL_USERNAME"
    assert names["drainTimeout"] == "TELLTALE_DRAIN_TIMEOUT"
    assert names["quietAfter"] == "TELLTALE_QUIET_AFTER"
    assert names["pause"] == "TELLTALE_PAUSE"


def test_every_setting_of_every_process_has_a_meaning() -> None:
    assert [key.key for key in keys_of(ProcessSettings) if not key.meaning] == []


@given(st.lists(st.from_regex(r"[a-z][a-z0-9]*", fullmatch=True), min_size=1, max_size=4))
def test_a_name_survives_the_way_to_yaml_and_back(words: list[str]) -> None:
    name = "_".join(words)
    assert snake(camel(name)) == name
