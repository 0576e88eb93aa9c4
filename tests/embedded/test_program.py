"""A broker's process: seen to be ready, or told why not; and gone when the one who started it is."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bridges.embedded import BrokerFailed, PortBusy
from bridges.embedded.program import FREE_PORTS, HOST, Program, choose_port

# Stands for a broker: listens on the port, says so, and lasts.
SERVE = """
import signal, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("some noise"); print("Now serving", flush=True)
time.sleep(120)
"""
# Starts such a broker, tells its own process's descendants, and waits to be killed.
PARENT = """
import os, sys, time
from pathlib import Path
from bridges.embedded.program import Program
data, port, forks = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "forks"
program = Program("Thing", log=data / "log", ready="Now serving", temporary=data)
program.start([sys.executable, "-c", sys.argv[4], str(port)], port=port, timeout_s=30)
if forks and os.fork() == 0:
    time.sleep(20)
    os._exit(0)
print("up", flush=True)
time.sleep(120)
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program("The Thing", log=tmp_path / "log", ready="Now serving", temporary=None)
    yield program
    program.kill()


def start(program: Program, code: str, *, timeout_s: float = 30) -> int:
    port = choose_port(0)
    program.start([sys.executable, "-c", code, str(port)], port=port, timeout_s=timeout_s)
    return port


def wait_until(holds: Callable[[], bool], limit_s: float = 20) -> None:
    """Real processes end in real time: look until they did."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_start_returns_when_the_port_answers(program: Program) -> None:
    port = start(program, SERVE)
    with socket.create_connection((HOST, port)):
        assert program.running


@pytest.mark.parametrize("end", [Program.stop, Program.kill], ids=["stop", "kill"])
def test_end_leaves_no_process_and_a_free_port(program: Program, end: Callable[[Program], None]) -> None:
    port = start(program, SERVE)
    below = psutil.Process().children(recursive=True)
    serving = [each for each in below if each.cmdline()[1:3] == ["-c", SERVE]]
    end(program)
    assert len(serving) == 1
    assert not alive(serving[0])
    assert not program.running
    assert choose_port(port) == port


def test_program_that_ignores_the_request_is_killed(program: Program) -> None:
    start(program, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVE)
    program.stop(timeout_s=0.2)
    assert not program.running


def test_end_before_ready_is_told_with_the_last_lines(program: Program) -> None:
    code = "import sys\nfor n in range(100): print('line', n)\nsys.exit('disk full')"
    with pytest.raises(BrokerFailed, match=r"The Thing ended with exit code 1 before it was ready") as caught:
        start(program, code)
    assert "disk full" in str(caught.value)
    assert "line 99" in str(caught.value)
    assert "line 80" not in str(caught.value)


def test_death_by_a_signal_is_told_as_shells_do(program: Program) -> None:
    with pytest.raises(BrokerFailed, match=r"exit code 137"):
        start(program, "import os; os.kill(os.getpid(), 9)")


def test_program_that_never_gets_ready_is_ended(program: Program) -> None:
    with pytest.raises(BrokerFailed, match=r"was not ready in time.*\n.*warming up"):
        start(program, "import time; print('warming up', flush=True); time.sleep(60)", timeout_s=0.5)
    assert not program.running


def test_earlier_run_s_ready_line_does_not_count(program: Program) -> None:
    start(program, SERVE)
    program.kill()
    with pytest.raises(BrokerFailed):
        start(program, "print('broken')")


def test_busy_port_is_told_with_what_to_do() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortBusy, match=f"Port {port} on 127.0.0.1 is already in use.*another port"):
            choose_port(port)


def test_free_port_is_never_one_that_outgoing_connections_get() -> None:
    assert choose_port(0) in FREE_PORTS
    ranges = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if ranges.exists():
        assert FREE_PORTS.stop <= int(ranges.read_text().split()[0])


@pytest.mark.parametrize("forks", ["alone", "forks"])
def test_killed_parent_takes_program_and_temporary_data_along(tmp_path: Path, forks: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    command = [sys.executable, "-c", PARENT, str(data), str(choose_port(0)), forks, SERVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        below = psutil.Process(parent.pid).children(recursive=True)
        broker = next(each for each in below if each.cmdline()[1:3] == ["-c", SERVE])
        forked = [each for each in below if each.cmdline()[1:3] == ["-c", PARENT]]
        assert len(forked) == (forks == "forks")
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(broker))
    wait_until(lambda: not data.exists())
    for each in forked:
        each.kill()


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
