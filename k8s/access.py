"""Where the API server is, and who we are to it: as a pod is told, or as a kubeconfig says.

Read here, and not by a client library: the one there is costs two seconds and 67 MB before its first request,
for thousands of classes that plain data do without. A token of a pod is renewed by its kubelet, so that the
file is read again and again; what a kubeconfig must run a program for is left to kubectl.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.process import ConfigurationError
from rules.documents.yaml_reader import read_yaml

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(slots=True)
class Access:
    """A way to an API server."""

    server: str
    ca_path: str | None = None
    ca_data: str | None = None
    """PEM."""
    insecure: bool = False
    server_name: str | None = None
    token_file: Path | None = None
    fixed_token: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    """PEM of the client's certificate, with its key in `key`."""
    key: str | None = field(default=None, repr=False)
    reread_s: float = 60.0
    """How old the token of a file may be."""
    _read: tuple[float, str] | None = field(default=None, repr=False)

    def token(self) -> str | None:
        """The token as it is now; OSError where its file has gone."""
        if self.token_file is None:
            return self.fixed_token
        now = time.monotonic()
        if self._read is None or now - self._read[0] > self.reread_s:
            self._read = (now, self.token_file.read_text().strip())
        return self._read[1]

    def tls(self) -> ssl.SSLContext:
        """What a connection is encrypted with; ConfigurationError where a certificate cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_path, cadata=self.ca_data)
            # Authorities of kubeadm lack what strictness asks for.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            if self.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.certificate is not None and self.key is not None:
                # The standard library reads them from files only.
                with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                    file.write(f"{self.key}\n{self.certificate}\n")
                    file.flush()
                    context.load_cert_chain(file.name)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"a certificate for the API server cannot be used: {error}") from error
        return context


def of_pod(account: Path = ACCOUNT, environment: Mapping[str, str] | None = None) -> Access:
    """What every pod with a ServiceAccount is told; ConfigurationError where this is none."""
    said = os.environ if environment is None else environment
    host, port = said.get("KUBERNETES_SERVICE_HOST"), said.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (account / "token").exists():
        raise ConfigurationError(
            "this is no pod with a ServiceAccount's token: TELLTALE_OPERATOR_KUBECONFIG says where the API"
            " server is"
        )
    bracketed = f"[{host}]" if ":" in host else host
    return Access(
        f"https://{bracketed}:{port}", ca_path=str(account / "ca.crt"), token_file=account / "token"
    )


def of_kubeconfig(path: Path) -> Access:
    """The current context of a kubeconfig; ConfigurationError with what is wrong with it."""
    try:
        nodes, findings = read_yaml(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the kubeconfig {path} cannot be read: {error}") from error
    errors = [f"{each.line}:{each.column}: {each.message}" for each in findings if each.is_error]
    if errors or len(nodes) != 1:
        raise ConfigurationError(f"the kubeconfig {path} cannot be read", errors or ["it is empty"])
    try:
        return _of_config(path, nodes[0].plain())
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise ConfigurationError(f"the kubeconfig {path} is not complete: {error!r}") from error


def _of_config(path: Path, config: Mapping[str, Any]) -> Access:
    def named(plural: str, singular: str, name: str) -> dict[str, Any]:
        found = next((each[singular] for each in config.get(plural) or () if each["name"] == name), None)
        if not isinstance(found, dict):
            raise ValueError(f"there is no {singular} {name!r}")
        return found

    def text(owner: Mapping[str, Any], key: str) -> str | None:
        """PEM that stands in the kubeconfig, or in a file beside it."""
        if data := owner.get(f"{key}-data"):
            return base64.b64decode(data, validate=True).decode()
        return (path.parent / owner[key]).read_text() if owner.get(key) else None

    context = named("contexts", "context", config["current-context"])
    cluster = named("clusters", "cluster", context["cluster"])
    user = named("users", "user", context["user"])
    for key in ("exec", "auth-provider"):
        if key in user:
            raise ConfigurationError(
                f"the kubeconfig {path} asks for a program ({key}); give it a token: kubectl create token"
            )
    try:
        token_file = path.parent / user["tokenFile"] if user.get("tokenFile") else None
        return Access(
            str(cluster["server"]).rstrip("/"),
            ca_data=text(cluster, "certificate-authority"),
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            server_name=cluster.get("tls-server-name"),
            token_file=token_file,
            fixed_token=user.get("token"),
            certificate=text(user, "client-certificate"),
            key=text(user, "client-key"),
        )
    except OSError as error:
        raise ConfigurationError(f"a file that the kubeconfig {path} names: {error}") from error
