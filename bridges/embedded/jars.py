"""A broker's class path: every jar is there and is what its lock says, or the start is refused.

The files lie in the user's cache folder, one directory for each lock, so that the second start needs no
network. A directory appears by one rename when all its files are verified; two processes that start at
once agree through a file lock, and the second finds the work done. The hashes are compared again at
every start: that costs a tenth of a second and turns a damaged cache into a download instead of a riddle.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from bridges.embedded.failures import JarsMissing
from bridges.embedded.lock import Jar, Lock

__all__ = ["cache_folder", "cached", "class_path", "damaged"]

ATTEMPTS = 3
AT_ONCE = 4

Update = Callable[[int], None]
Fetch = Callable[[Jar, Path, Update], Path]
Attempt = Callable[[Jar, Path, Update], None]


def cache_folder() -> Path:
    """Where Telltale keeps what it downloaded: XDG_CACHE_HOME, else the system's usual place."""
    if configured := os.environ.get("XDG_CACHE_HOME"):
        root = Path(configured)
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path.home() / ".cache"
    return root / "telltale"


def class_path(
    lock: Lock, *, cache: Path | None = None, fetch: Fetch | None = None, pause_s: float = 1.0
) -> tuple[Path, ...]:
    """The verified jars of a lock, downloaded first where they are missing.

    fetch(jar, folder, update) brings one file into the folder; the pause lies between two attempts.
    Raises JarsMissing, with the reason, when that cannot be done.
    """
    root = (cache or cache_folder()) / "brokers"
    root.mkdir(parents=True, exist_ok=True)
    directory = root / f"{lock.name}-{lock.version}-{lock.fingerprint}"
    with _only_one(root / f"{directory.name}.lock"):
        if missing := damaged(lock.jars, directory):
            _bring(lock, missing, directory, partial(_attempt, fetch or _download, pause_s))
    return tuple(directory / jar.file_name for jar in lock.jars)


def cached(lock: Lock, what: str, ending: str) -> Path:
    """Where that which was once made of `what` with these jars is kept, beside them."""
    name = hashlib.sha256(f"{lock.fingerprint} {what}".encode()).hexdigest()[:16]
    return cache_folder() / "brokers" / f"{lock.name}-{lock.version}-{name}.{ending}"


def damaged(jars: Sequence[Jar], directory: Path) -> list[Jar]:
    """The jars that are not in this directory, or are not what the lock says."""
    return [jar for jar in jars if _sha256(directory / jar.file_name) != jar.sha256]


def _bring(lock: Lock, missing: Sequence[Jar], directory: Path, attempt: Attempt) -> None:
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=directory.parent))
    try:
        with _progress(lock, missing) as update, ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda jar: attempt(jar, staging, update), missing))
        keep = {jar.file_name for jar in lock.jars} - {jar.file_name for jar in missing}
        for name in keep:
            os.link(directory / name, staging / name)
        # A running broker keeps its open files; a directory cannot be renamed onto a full one.
        old = directory.with_name(f".old-{os.getpid()}-{directory.name}")
        if directory.exists():
            directory.rename(old)
        staging.rename(directory)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _attempt(fetch: Fetch, pause_s: float, jar: Jar, staging: Path, update: Update) -> None:
    place = staging / jar.file_name
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause_s * attempt)
        folder = Path(tempfile.mkdtemp(prefix="fetch-", dir=staging))
        try:
            got = fetch(jar, folder, update)
            if (seen := _sha256(got)) == jar.sha256:
                _link(got, place)
                return
            problem = f"its sha256 is {seen}, the lock says {jar.sha256}"
        except JarsMissing:
            raise
        # The client raises whatever its HTTP library does: each means that this attempt brought no file.
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    raise JarsMissing(
        f"{jar.coordinate} could not be downloaded after {ATTEMPTS} attempts ({problem}). "
        "The first start needs a network that reaches Maven Central; later ones need none."
    )


def _download(jar: Jar, folder: Path, update: Update) -> Path:
    """Fetch one file with jgo, which knows the repositories; a copy that Maven already has is taken."""
    try:
        from jgo.maven import MavenContext, PythonResolver
    except ImportError:
        raise JarsMissing(
            "The embedded brokers are downloaded with jgo, which is not installed: "
            "pip install 'telltale[demo]'"
        ) from None
    mavens_own = Path.home().joinpath(
        ".m2", "repository", *jar.group.split("."), jar.artifact, jar.version, jar.file_name
    )
    if _sha256(mavens_own) == jar.sha256:
        update(jar.size)
        return mavens_own

    @contextmanager
    def report(_name: str, _size: int) -> Iterator[Update]:
        yield update

    context = MavenContext(
        resolver=PythonResolver(progress_callback=report), repo_cache=folder, local_repos=[], timeout=60
    )
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    return Path(component.artifact(classifier=jar.classifier).resolve())


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Maven's repository may be on another file system, or on one without hard links.
        shutil.copyfile(source, target)


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _progress(lock: Lock, missing: Sequence[Jar]) -> AbstractContextManager[Update]:
    console = Console(stderr=True)
    total = sum(jar.size for jar in missing)
    title = f"{lock.title} {lock.version}"
    return _bar(console, title, total) if console.is_terminal else _lines(console, title, len(missing), total)


@contextmanager
def _bar(console: Console, title: str, total: int) -> Iterator[Update]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"Downloading {title}", total=total)
        yield lambda size: progress.advance(task, size)


@contextmanager
def _lines(console: Console, title: str, count: int, total: int) -> Iterator[Update]:
    console.print(f"Downloading {title}: {count} files, {total / 1e6:.0f} MB …", highlight=False)
    began = time.monotonic()
    yield lambda _size: None
    console.print(f"Downloaded {title} in {time.monotonic() - began:.0f} s", highlight=False)
