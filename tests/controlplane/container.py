"""What a container engine does for one process, by hand: own mounts, host name and user; then the command.

Started as a file by the kubelet, with the standard library only: `python -I -S container.py SPEC.json`. It
needs root. The root directory is the machine's own, seen through bind mounts in a mount namespace, so that
volumes can be put where the pod wants them without a trace on the machine; with `readOnly` only they can be
written. The process dies with the kubelet (PR_SET_PDEATHSIG).

SPEC: command, environment, workingDirectory, hostName, root (an empty folder), readOnly, user, group,
mounts: [{source, path, readOnly}], readable: [folders that any user shall reach].
"""

import ctypes
import json
import os
import signal
import struct
import sys
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUTS = 0x00020000, 0x04000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
OURS: set[Path] = set()
"""The folders where a tmpfs was mounted here."""


def check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    words = (source.encode(), str(target).encode(), kind.encode() if kind else None)
    check(LIBC.mount(*words, ctypes.c_ulong(flags), data.encode() if data else None), f"mount {target}")


def cover(folder: Path) -> None:
    """Put an empty folder in the place of this one."""
    mount("tmpfs", folder, "tmpfs", 0, "mode=755")
    OURS.add(folder)


def bind(source: Path, target: Path) -> None:
    """Make the source be seen at the target, which is made: a folder, a file or a link like it."""
    if source.is_symlink():
        target.symlink_to(os.readlink(source))
        return
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    mount(str(source), target, None, MS_BIND | MS_REC)


def expose(folder: Path, only: str | None = None) -> None:
    """Put a writable folder in the place of `folder`, with the same things in it (or one of them only)."""
    children = [child for child in folder.iterdir() if only in (None, child.name)]
    handles = {child.name: os.open(child, os.O_PATH | os.O_NOFOLLOW) for child in children}
    links = {child.name: os.readlink(child) for child in children if child.is_symlink()}
    folders = {child.name for child in children if child.is_dir() and not child.is_symlink()}
    cover(folder)
    for name, handle in handles.items():
        target = folder / name
        if name in links:
            target.symlink_to(links[name])
        else:
            target.mkdir() if name in folders else target.touch()
            mount(f"/proc/self/fd/{handle}", target, None, MS_BIND | MS_REC)
        os.close(handle)


def within(target: Path, root: Path, readable: list[str]) -> dict[Path, int]:
    """Handles of what a mount would hide of the folders that any user shall reach: a checkout in /tmp."""
    hidden = {}
    for folder in (root / each.lstrip("/") for each in readable):
        if folder.is_relative_to(target) and folder.is_dir():
            hidden[folder] = os.open(folder, os.O_PATH)
    return hidden


def place(root: Path, path: str, *, folder: bool) -> Path:
    """The place of an absolute path below the root; what is missing on the way is made."""
    at = root
    parts = [part for part in Path(path).parts if part != "/"]
    while parts:
        part = parts.pop(0)
        below = at / part
        if below.is_symlink():
            link = Path(os.readlink(below))
            parts = [one for one in link.parts if one != "/"] + parts
            at = root if link.is_absolute() else at
            continue
        if not below.exists():
            if not _is_ours(at):
                expose(at)
            below.mkdir() if parts or folder else below.touch()
        at = below
    return at


def _is_ours(folder: Path) -> bool:
    """Whether it lies in a tmpfs that was made here: the machine's own folders are never written to."""
    with open("/proc/self/mountinfo") as lines:
        points = {line.split()[4] for line in lines}
    while str(folder) not in points:
        folder = folder.parent
    return folder in OURS


def main() -> None:
    kubelet = os.getppid()
    spec = json.loads(Path(sys.argv[1]).read_text())
    root = Path(spec["root"])
    check(LIBC.unshare(CLONE_NEWNS | CLONE_NEWUTS), "unshare")
    mount("none", Path("/"), None, MS_REC | MS_PRIVATE)
    name = spec["hostName"].encode()
    check(LIBC.sethostname(name, len(name)), "sethostname")

    cover(root)
    for child in Path("/").iterdir():
        bind(child, root / child.name)
    if spec["user"]:
        for folder in spec["readable"]:
            at = root
            for part in Path(folder).parts[1:]:
                if not at.stat().st_mode & 0o001:
                    expose(at, only=part)
                at = at / part
    places = [(place(root, one["path"], folder=Path(one["source"]).is_dir()), one) for one in spec["mounts"]]
    if spec["readOnly"]:
        attributes = struct.pack("QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0)
        words = (SYS_MOUNT_SETATTR, AT_FDCWD, str(root).encode(), AT_RECURSIVE, attributes, len(attributes))
        check(LIBC.syscall(*words), "mount_setattr")
    # Every container has shared memory of its own, also one whose root is read-only.
    if (shared := root / "dev/shm").is_dir():
        mount("shm", shared, "tmpfs", 0, "mode=1777,size=64m")
    for target, one in places:
        hidden = within(target, root, spec["readable"])
        mount(one["source"], target, None, MS_BIND | MS_REC)
        for folder, handle in hidden.items():
            folder.mkdir(parents=True, exist_ok=True)
            mount(f"/proc/self/fd/{handle}", folder, None, MS_BIND | MS_REC)
            mount("none", folder, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
            os.close(handle)
        if one["readOnly"]:
            mount("none", target, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
    os.chroot(root)
    os.chdir(spec["workingDirectory"])
    os.setgroups([spec["group"]] if spec["group"] else [])
    os.setgid(spec["group"])
    os.setuid(spec["user"])
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != kubelet:
        return
    os.execvpe(spec["command"][0], spec["command"], spec["environment"])


if __name__ == "__main__":
    main()
