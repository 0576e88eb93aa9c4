"""What a broker's class path promises: every file is what the lock says, and the network is asked once."""

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bridges.embedded import JarsMissing
from bridges.embedded.jars import Update, cache_folder, class_path
from bridges.embedded.lock import ARTEMIS, KAFKA, Jar, Lock, Wanted, read

CONTENTS = {"one": b"1" * 10, "two": b"2" * 20, "three": b"3" * 30}


class Registry:
    """Serves the contents above, counts what it was asked for, and may be away or serve something else."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = dict(CONTENTS)

    def __call__(self, jar: Jar, folder: Path, update: Update) -> Path:
        self.asked.append(jar.artifact)
        if jar.artifact not in self.answers:
            raise ConnectionError("no route to host")
        path = folder / "download"
        path.write_bytes(self.answers[jar.artifact])
        update(jar.size)
        return path


@pytest.fixture
def registry() -> Registry:
    return Registry()


def lock() -> Lock:
    jars = tuple(
        Jar("group", name, "1.0", "", len(data), hashlib.sha256(data).hexdigest())
        for name, data in CONTENTS.items()
    )
    return Lock("thing", "The Thing", "1.0", 17, jars)


def test_second_start_needs_no_network(tmp_path: Path, registry: Registry) -> None:
    first = class_path(lock(), cache=tmp_path, fetch=registry)
    assert [path.read_bytes() for path in first] == list(CONTENTS.values())
    assert sorted(registry.asked) == sorted(CONTENTS)
    registry.answers.clear()
    assert class_path(lock(), cache=tmp_path, fetch=registry) == first
    assert len(registry.asked) == len(CONTENTS)


def test_only_what_is_damaged_is_fetched_again(tmp_path: Path, registry: Registry) -> None:
    first = class_path(lock(), cache=tmp_path, fetch=registry)
    first[0].unlink()
    first[2].write_bytes(b"half a fi")
    registry.asked.clear()
    assert [path.read_bytes() for path in class_path(lock(), cache=tmp_path, fetch=registry)] == list(
        CONTENTS.values()
    )
    assert sorted(registry.asked) == ["one", "three"]


def test_file_that_is_not_what_the_lock_says_is_refused(tmp_path: Path, registry: Registry) -> None:
    registry.answers["two"] = b"something else"
    with pytest.raises(JarsMissing, match=r"group:two:1.0 could not be downloaded after 3 attempts.*sha256"):
        class_path(lock(), cache=tmp_path, fetch=registry, pause_s=0)
    assert registry.asked.count("two") == 3


def test_failed_download_says_why_and_leaves_nothing_behind(tmp_path: Path, registry: Registry) -> None:
    del registry.answers["three"]
    with pytest.raises(JarsMissing, match=r"no route to host.*network"):
        class_path(lock(), cache=tmp_path, fetch=registry, pause_s=0)
    assert [path.name for path in (tmp_path / "brokers").iterdir() if path.is_dir()] == []


def test_passing_failure_is_tried_again(tmp_path: Path, registry: Registry) -> None:
    failures = iter([True, False, False, False])

    def fetch(jar: Jar, folder: Path, update: Update) -> Path:
        if next(failures):
            raise ConnectionError("reset by peer")
        return registry(jar, folder, update)

    assert len(class_path(lock(), cache=tmp_path, fetch=fetch, pause_s=0)) == 3


def test_two_starts_at_once_download_once(tmp_path: Path, registry: Registry) -> None:
    threads = [
        threading.Thread(target=class_path, args=(lock(),), kwargs={"cache": tmp_path, "fetch": registry})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(registry.asked) == sorted(CONTENTS)


def test_another_lock_gets_another_folder(tmp_path: Path, registry: Registry) -> None:
    both = lock()
    fewer = Lock("thing", "The Thing", "1.0", 17, both.jars[:2])
    assert (
        class_path(both, cache=tmp_path, fetch=registry)[0].parent
        != class_path(fewer, cache=tmp_path, fetch=registry)[0].parent
    )


def test_xdg_cache_home_is_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "telltale"


@pytest.mark.parametrize("wanted", [KAFKA, ARTEMIS], ids=lambda wanted: wanted.name)
def test_committed_locks_name_every_jar_and_no_host(wanted: Wanted) -> None:
    contents = read(wanted)
    assert {f"{jar.group}:{jar.artifact}:{jar.version}" for jar in contents.jars} >= set(wanted.coordinates)
    assert len({jar.file_name for jar in contents.jars}) == len(contents.jars)
    assert all(len(bytes.fromhex(jar.sha256)) == 32 and jar.size > 0 for jar in contents.jars)
    assert "://" not in wanted.path.read_text()


def test_fetch_from_the_command_line_says_what_is_ready_and_where() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridges.embedded"], capture_output=True, text=True, check=True, env=os.environ
    )
    kafka, artemis = done.stdout.splitlines()
    assert kafka.startswith("Apache Kafka 4.4.0: 45 jars")
    assert artemis.startswith("Apache ActiveMQ Artemis 2.41.0: 63 jars")
    assert str(cache_folder()) in kafka
    assert all(line.endswith("its classes archived") for line in (kafka, artemis))
