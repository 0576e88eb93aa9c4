"""Keep one pair of brokers running between test runs: `python tests/brokers.py`.

Prints the two lines to export; the fixtures of `tests/conftest.py` then use this pair, and a test run
saves the seconds of starting its own. Ctrl-C ends both and removes their data.
"""

import signal
import sys

from bridges.embedded import EmbeddedFailure, EmbeddedKafka, EmbeddedMqtt


def main() -> int:
    """Start both, print how to use them, and wait for Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with EmbeddedKafka() as kafka, EmbeddedMqtt() as mqtt:
            print(f"export TELLTALE_TEST_KAFKA={kafka.bootstrap}")
            print(f"export TELLTALE_TEST_MQTT={mqtt.host}:{mqtt.port}", flush=True)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except EmbeddedFailure as failure:
        print(failure, file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
