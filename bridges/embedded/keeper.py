"""A program's guardian: when whoever started it is gone, however it went, the program goes too.

Started as a file by `program.py`, with the standard library only, so that it is up in milliseconds:
`python -I -S keeper.py DIRECTORY-OR-DASH COMMAND…`. It runs the command as its child and listens on
standard input. `T` asks the child to stop (SIGTERM), `K` kills it, and the end of the pipe, which also
comes when the parent is killed with -9, kills it and removes DIRECTORY (its temporary data). A pipe and not
PR_SET_PDEATHSIG: that is Linux's alone, and follows the parent's thread and not the process. A process
that the parent forked may hold the pipe open, hence the look at the parent's id beside it.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import threading

LOOK_EVERY_S = 0.5


def keep(directory: str, command: list[str]) -> int:
    """Run the command until it ends; returns its exit code as shells do: 128 + n where signal n ended it."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    ended, tell = os.pipe()

    def wait() -> None:
        child.wait()
        os.close(tell)

    threading.Thread(target=wait, daemon=True).start()
    while True:
        readable, _, _ = select.select([0, ended], [], [], LOOK_EVERY_S)
        if ended in readable:
            return child.returncode if child.returncode >= 0 else 128 - child.returncode
        order = os.read(0, 1) if 0 in readable else None
        if order == b"T":
            child.terminate()
        elif order == b"K":
            child.kill()
        elif order == b"" or os.getppid() != parent:
            child.kill()
            child.wait()
            if directory != "-":
                shutil.rmtree(directory, ignore_errors=True)
            return 0


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1], sys.argv[2:]))
