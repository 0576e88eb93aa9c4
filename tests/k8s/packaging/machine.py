"""An image without a container engine: this machine stands in for the base image, in namespaces of its own.

A root is put together of bind mounts: the machine's system folders and its Python, read-only, and beside them
the folders that the image's own steps write. Each RUN is
run in it by chroot, each COPY copies. What this cannot show: that the base image is there, that it has the
libraries that the wheels link to, and a container engine's own reading of the file.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.k8s.packaging.dockerfile import ROOT, Stage

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "etc")
"""Top-level folders that a base image brings, taken from this machine where it has them."""
DIGEST = "python:3.11-slim@sha256:" + "0" * 64
"""A name in the form that the Dockerfile asks for; nothing is fetched by it."""


@dataclass(frozen=True)
class Contained:
    """A process in its namespaces, as this machine sees it."""

    parent: subprocess.Popen[bytes]
    log: Path

    def first(self) -> psutil.Process:
        """Process 1 of the namespace: the only child of `unshare`, once it has forked."""
        known = psutil.Process(self.parent.pid)
        while not known.children():
            assert self.parent.poll() is None, self.output()
            time.sleep(0.01)
        return known.children()[0]

    def terminate(self) -> int:
        """SIGTERM to process 1; its exit code."""
        self.first().terminate()
        return self.parent.wait(60)

    def wait(self) -> int:
        """The exit code of a command that ends by itself."""
        return self.parent.wait(120)

    def output(self) -> str:
        """All that it wrote."""
        return self.log.read_text(errors="replace")


@dataclass(frozen=True)
class Machine:
    """A root folder in the making: `root` holds what the image's steps wrote."""

    root: Path

    def build(self, stage: Stage, arguments: Mapping[str, str]) -> None:
        """Do a stage's instructions, in order. CalledProcessError with the output where a RUN fails."""
        folder = "/"
        given: dict[str, str] = {}
        for instruction in stage.instructions:
            match instruction.name:
                case "ARG":
                    name, _, default = instruction.rest.partition("=")
                    given[name] = arguments.get(name, default)
                case "WORKDIR":
                    folder = instruction.rest
                    self._inside(folder).mkdir(parents=True, exist_ok=True)
                case "COPY":
                    *sources, target = instruction.words
                    self._copy(sources, self._inside(os.path.join(folder, target)))
                case "RUN":
                    self.run(["/bin/sh", "-c", instruction.rest], folder=folder, environment=given)
                case other:
                    raise AssertionError(f"the builder stage has {other}, which nobody here plays")

    def run(self, command: Sequence[str], *, folder: str, environment: Mapping[str, str]) -> None:
        """Run as root with this root, writable; the package cache of this machine is /root/.cache/pip."""
        path = {"PATH": f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": "/root"}
        words = ["env", "-i", *self._pairs({**_network(), **path, **environment}), *command]
        inside = shlex.join(["sh", "-c", f'cd {folder} && exec "$@"', "sh", *words])
        script = self._mounts(writable=True) + f"exec chroot {self.root} {inside}"
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", script],
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"

    @contextmanager
    def process(
        self, stage: Stage, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> Iterator[Contained]:
        """A command in the final stage as process 1: its user, its environment, nothing writable, no rights.

        It is gone when the block ends.
        """
        user, _, group = stage.last("USER").rest.partition(":")
        rights = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        rights += ["--bounding-set=-all", "--inh-caps=-all"]
        words = [*rights, "env", "-i", *self._pairs({**stage.environment, **environment}), *command]
        script = self._mounts(writable=False) + f"exec chroot {self.root} {shlex.join(words)}"
        with log.open("wb") as output:
            parent = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script],
                stdout=output,
                stderr=output,
            )
        try:
            yield Contained(parent, log)
        finally:
            parent.kill()
            parent.wait(30)

    def _copy(self, sources: Sequence[str], target: Path) -> None:
        for source in sources:
            there = ROOT / source
            if there.is_dir():
                shutil.copytree(
                    there, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
                )
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(there, target)

    def _inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _mounts(self, *, writable: bool) -> str:
        lines = [f"mount --bind {self.root} {self.root}"]
        for name in SYSTEM:
            if Path("/", name).is_dir():
                lines += _bound(Path("/", name), self.root / name)
        if sys.base_prefix != "/usr":
            lines += _bound(Path(sys.base_prefix), self._inside(sys.base_prefix))
        cache = Path.home() / ".cache/pip"
        if writable:
            cache.mkdir(parents=True, exist_ok=True)
            lines += [f"mkdir -p {self.root}/root/.cache/pip {self.root}/tmp"]
            lines += [f"mount --bind {cache} {self.root}/root/.cache/pip"]
        lines += [f"mkdir -p {self.root}/proc {self.root}/dev"]
        if not writable:
            lines += [f"mount -o remount,bind,ro {self.root}"]
        lines += [f"mount -t proc proc {self.root}/proc", f"mount --bind /dev {self.root}/dev"]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _pairs(environment: Mapping[str, str]) -> list[str]:
        return [f"{key}={value}" for key, value in environment.items()]


def _bound(source: Path, target: Path) -> list[str]:
    return [f"mkdir -p {target}", f"mount --bind {source} {target}", f"mount -o remount,bind,ro {target}"]


def _network() -> dict[str, str]:
    """How this machine reaches its package index, which a build would be told the same way."""
    keep = (
        "PIP_",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "SSL_CERT_FILE",
    )
    return {key: value for key, value in os.environ.items() if key.startswith(keep)}
