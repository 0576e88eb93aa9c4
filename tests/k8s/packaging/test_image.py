"""The image: what its Dockerfile says is done step by step, and its processes run as a pod would run them."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import KafkaAddress
from tests.e2e.processes import wait_until
from tests.k8s.packaging.dockerfile import ROOT, read
from tests.k8s.packaging.machine import DIGEST, Contained, Machine

HEAD, (BUILDER, FINAL) = read()
PINNED = re.compile(r"^([a-z0-9.-]+==\S+)", re.MULTILINE)

needs_namespaces = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or os.uname().sysname != "Linux",
    reason="a root of one's own takes a Linux machine and its root user; CI has both",
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The builder's steps, done."""
    machine = Machine(tmp_path_factory.mktemp("image"))
    machine.root.chmod(0o755)
    machine.build(BUILDER, {"BASE": DIGEST})
    return machine


@pytest.fixture
def run(image: Machine, tmp_path: Path) -> Run:
    return Run(image, tmp_path)


class Run:
    """Runs commands in the final stage."""

    def __init__(self, image: Machine, folder: Path) -> None:
        self._image = image
        self._folder = folder
        self._count = 0

    @contextmanager
    def process(self, words: Sequence[str], environment: dict[str, str]) -> Iterator[Contained]:
        self._count += 1
        log = self._folder / f"{self._count}.log"
        with self._image.process(FINAL, words, environment, log) as contained:
            yield contained

    def telltale(self, *words: str, environment: dict[str, str] | None = None) -> str:
        """The entry point with these arguments; its output, and exit code 0."""
        with self.process([*FINAL.last("ENTRYPOINT").words, *words], environment or {}) as contained:
            assert contained.wait() == 0, contained.output()
        return contained.output()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_the_base_has_no_default_and_both_stages_stand_on_it() -> None:
    assert [(one.name, one.rest) for one in HEAD] == [("ARG", "BASE")]
    assert [stage.base for stage in (BUILDER, FINAL)] == ["${BASE}", "${BASE}"]


def test_a_base_without_a_digest_is_refused() -> None:
    command = BUILDER.all("RUN")[0].rest
    for base, code in {"python:3.11-slim": 2, "": 2, DIGEST: 0}.items():
        done = subprocess.run(["sh", "-c", command], env={"BASE": base}, capture_output=True, check=False)
        assert done.returncode == code, base


def test_what_the_image_installs_is_pinned_by_hash_to_what_the_tests_ran_with() -> None:
    tested = set(PINNED.findall((ROOT / "requirements.lock").read_text()))
    for lock in ("requirements.lock", "build.lock"):
        text = (ROOT / "k8s/image" / lock).read_text()
        pins = set(PINNED.findall(text))
        assert pins
        assert pins <= tested, f"run `make lock`: {sorted(pins - tested)}"
        assert len(re.findall(r"^    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)) >= len(pins)


def test_the_image_has_no_package_of_the_demo_the_backtest_or_the_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    unwanted = {*extras["demo"], *extras["parquet"], *project["dependency-groups"]["test"]}
    names = {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in unwanted} - {"hatchling"}
    pins = {
        pin.partition("==")[0] for pin in PINNED.findall((ROOT / "k8s/image/requirements.lock").read_text())
    }
    assert not pins & names
    assert {"kopf", "cryptography"} <= pins


def test_the_image_ends_as_a_numeric_user_who_is_not_root() -> None:
    user, _, group = FINAL.last("USER").rest.partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert FINAL.last("STOPSIGNAL").rest == "SIGTERM"
    assert FINAL.last("ENTRYPOINT").words == ["telltale"], "in exec form, so that it is process 1"


def test_the_context_is_what_the_dockerfile_copies() -> None:
    lines = (ROOT / "k8s/image/Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert lines[1] == "*", "all is left out but what is let in"
    copied = {source.split("/")[0] for one in BUILDER.all("COPY") for source in one.words[:-1]}
    assert copied == allowed


@needs_namespaces
def test_the_image_answers_on_the_command_line(run: Run) -> None:
    assert "rules" in run.telltale(*FINAL.last("CMD").words)
    assert "operator.leaseName" in run.telltale("settings", "operator"), "the operator is in it"
    library = next(run._image.root.glob("opt/telltale/lib/python3*/site-packages/rules/library"))
    assert "0 errors" in run.telltale("rules", "check", f"/{library.relative_to(run._image.root)}")


@needs_namespaces
def test_nothing_in_the_image_can_be_written(run: Run) -> None:
    script = "import os, pathlib, sys; print(os.getuid(), os.getpid()); pathlib.Path(sys.argv[1]).touch()"
    for path in ("/x", "/opt/telltale/x", "/tmp/x"):
        with run.process(["python3", "-c", script, path], {}) as contained:
            assert contained.wait() == 1
        assert contained.output().startswith("65532 1\n")
        assert re.search(r"Errno (13|30)\b", contained.output()), contained.output()


@needs_namespaces
@pytest.mark.integration
def test_a_stage_of_the_image_becomes_ready_and_drains(run: Run, kafka: KafkaAddress, prefix: str) -> None:
    port = free_port()
    environment = {
        "TELLTALE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "TELLTALE_PREFIX": prefix,
        "TELLTALE_PARTITIONS": "2",
        "TELLTALE_HTTP_PORT": str(port),
        "TELLTALE_HTTP_HOST": "127.0.0.1",
    }
    run.telltale("topics", "create", environment=environment)
    words = [*FINAL.last("ENTRYPOINT").words, "run", "alerts"]
    check = json.loads(FINAL.last("HEALTHCHECK").rest.partition("CMD ")[2])

    def healthy() -> bool:
        with run.process(check, environment) as contained:
            return contained.wait() == 0

    assert not healthy(), "nobody answers yet"
    with run.process(words, environment) as stage:
        wait_until(lambda: ready(port), stage.output, deadline_s=60)
        assert healthy()
        assert stage.first().uids().real == 65532
        assert stage.terminate() == 0, stage.output()
    assert "Drained and ended" in stage.output()
