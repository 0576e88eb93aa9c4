"""Who is who in the cluster: one authority, a certificate for each component, the key that signs tokens."""

from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

USERS = {
    "admin": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "kwok": "system:masters",
    "kubelet": "system:masters",
}
"""The users that hold a certificate, and the group of each. Everyone else has a ServiceAccount's token."""


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: Path
    key: Path


def pair(directory: Path, name: str) -> Pair:
    """Where `write_all` puts the certificate of a user, of `server` and of `front-proxy`."""
    plain = name.replace(":", "-")
    return Pair(directory / f"{plain}.crt", directory / f"{plain}.key")


def write_all(directory: Path, host: str) -> None:
    """Write ca.crt, front-proxy-ca.crt, the pairs, and service-accounts.key and .pub."""
    directory.mkdir(parents=True)
    authority, front = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.crt"))
    authority.private_key_pem.write_to_path(str(directory / "ca.key"))
    front.cert_pem.write_to_path(str(directory / "front-proxy-ca.crt"))
    names = [host, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    _write(authority.issue_cert(*names), pair(directory, "server"))
    _write(
        front.issue_cert("front-proxy.test", common_name="front-proxy-client"), pair(directory, "front-proxy")
    )
    for user, group in USERS.items():
        issued = authority.issue_cert(
            f"{user.rpartition(':')[2]}.test", common_name=user, organization_name=group or "none"
        )
        _write(issued, pair(directory, user))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (directory / "service-accounts.key").write_bytes(private)
    (directory / "service-accounts.pub").write_bytes(public)


def _write(issued: trustme.LeafCert, to: Pair) -> None:
    issued.cert_chain_pems[0].write_to_path(str(to.certificate))
    issued.private_key_pem.write_to_path(str(to.key))
