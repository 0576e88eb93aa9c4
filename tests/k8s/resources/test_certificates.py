"""The webhook's certificates: good for their names, renewed in time, and never without a valid chain."""

import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509

from k8s.resources.certificates import Pair, Trust, renewed

NAMES = ["webhook.telltale.svc", "localhost", "127.0.0.1"]
NOW = datetime.datetime.now(datetime.UTC)


def later(**by: int) -> datetime.datetime:
    return NOW + datetime.timedelta(**by)


def end(pair: Pair) -> datetime.datetime:
    return x509.load_pem_x509_certificate(pair.certificate).not_valid_after_utc


def handshake(trust: Trust, bundle: bytes, host: str, here: Path) -> None:
    """A TLS connection to a server with this certificate by a client that trusts the bundle alone."""
    (here / "crt").write_bytes(trust.serving.certificate)
    (here / "key").write_bytes(trust.serving.key)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(here / "crt", here / "key")
    client = ssl.create_default_context(cadata=bundle.decode())
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as end:
                end.sendall(b"!")
        except (ssl.SSLError, ConnectionError):
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=host) as connection:
            assert connection.recv(1) == b"!"
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("host", NAMES)
def test_who_trusts_the_bundle_trusts_the_webhook_under_each_of_its_names(host, tmp_path):
    trust = renewed(None, NAMES, NOW)
    handshake(trust, trust.bundle, host, tmp_path)


def test_nobody_trusts_it_under_another_name_or_with_another_authority(tmp_path):
    trust = renewed(None, NAMES, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(trust, trust.bundle, "other.telltale.svc", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(trust, renewed(None, NAMES, NOW).bundle, NAMES[0], tmp_path)


def test_what_lasts_is_left_alone():
    trust = renewed(None, NAMES, NOW)
    assert renewed(trust, NAMES, later(days=58)) is trust
    assert renewed(trust, NAMES[:1], NOW) is trust


@pytest.mark.parametrize(
    ("names", "when"),
    [
        pytest.param(NAMES, later(days=61), id="a month before its end"),
        pytest.param(NAMES, later(days=400), id="after its end"),
        pytest.param([*NAMES, "new.telltale.svc"], NOW, id="a new name"),
    ],
)
def test_a_certificate_is_made_anew_by_the_same_authority(names, when):
    before = renewed(None, NAMES, NOW)
    after = renewed(before, names, when)
    assert after.serving != before.serving
    assert end(after.serving) >= when + datetime.timedelta(days=89)
    assert (after.authority, after.bundle) == (before.authority, before.bundle)


def test_a_new_authority_comes_a_year_before_the_old_one_ends_and_both_are_trusted(tmp_path):
    before = renewed(None, NAMES, NOW)
    when = later(days=3_650 - 364)
    fresh = renewed(before, NAMES, when)
    assert fresh.authority != before.authority
    assert fresh.bundle == fresh.authority.certificate + before.authority.certificate
    handshake(before, fresh.bundle, NAMES[0], tmp_path)
    assert renewed(fresh, NAMES, when) is fresh


@pytest.mark.parametrize(
    "broken", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_cannot_be_read_is_made_anew(broken):
    right = renewed(None, NAMES, NOW)
    other = renewed(None, NAMES, NOW)
    for wrong in (
        Trust(Pair(broken, right.authority.key), right.bundle, right.serving),
        Trust(Pair(right.authority.certificate, broken), right.bundle, right.serving),
        Trust(right.authority, right.bundle, Pair(broken, right.serving.key)),
        Trust(right.authority, right.bundle, Pair(right.serving.certificate, other.serving.key)),
        Trust(right.authority, right.bundle, other.serving),
    ):
        made = renewed(wrong, NAMES, NOW)
        assert made != wrong
        assert renewed(made, NAMES, NOW) is made
