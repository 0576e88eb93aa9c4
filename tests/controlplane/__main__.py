"""Build the control plane and say where it is; with `up`, start one that test runs share.

`up` prints the line to export; the fixtures then use that cluster, and a test run saves the ten seconds
of starting its own. Ctrl-C ends it and removes its data.
"""

import subprocess
import sys
import time

from tests.controlplane.build import cached, programs


def main() -> int:
    """Build, or build and start."""
    was_cached = cached()
    began = time.monotonic()
    try:
        folder = programs()
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"the control plane could not be built: {error}", file=sys.stderr)
        return 1
    took = "cached" if was_cached else f"built in {time.monotonic() - began:.0f} s"
    print(f"{folder} ({took})", flush=True)
    if sys.argv[1:] != ["up"]:
        return 0
    from tests.controlplane.cluster import Cluster

    with Cluster.started() as cluster:
        print(f"export TELLTALE_TEST_CLUSTER={cluster.directory}")
        print(f"export KUBECONFIG={cluster.directory}/admin.kubeconfig", flush=True)
        cluster.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
