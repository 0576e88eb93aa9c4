"""The webhook's certificates are kept in a Secret that all replicas share, and its configuration trusts them.

The first replica that finds none makes them; of two who do so at once, one is told and takes the other's.
With certificates from elsewhere (cert-manager) nothing is made and nothing is trusted here: whoever issues
them also injects the bundle.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from k8s.api import Api
from k8s.api_errors import AlreadyExists, ApiError, Conflict, NotFound
from k8s.kinds import SECRET, VALIDATING_WEBHOOK
from k8s.resources.certificates import Pair, Trust, renewed
from k8s.resources.settings import WebhookSettings

log = structlog.get_logger(__name__)

_LOOK_S = 600.0
_FILES_S = 10.0
_PAUSE_S = 2.0
_MANAGER = "telltale-webhook"
_KEYS = ("ca.crt", "ca.key", "bundle.crt", "tls.crt", "tls.key")


class Certificates:
    """A TLS context whose certificate is always a valid one."""

    def __init__(self, api: Api, options: WebhookSettings, namespace: str) -> None:
        self._api, self._options, self._namespace = api, options, namespace
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.loaded = asyncio.Event()
        """Set once there is a certificate to serve with."""

    async def keep(self) -> None:
        """For ever."""
        files = (self._options.certificate_file, self._options.key_file)
        if files[0] is not None and files[1] is not None:
            await self._keep_files(files[0], files[1])
        used: Trust | None = None
        while True:
            try:
                trust = await self._shared()
                if trust != used:
                    self._load(trust.serving)
                    used = trust
                await self._trusted(trust.bundle)
                pause_s = _LOOK_S
            except ApiError as error:
                log.warning("The webhook's certificates cannot be looked after", reason=str(error))
                pause_s = _PAUSE_S
            await asyncio.sleep(pause_s)

    async def _keep_files(self, certificate: Path, key: Path) -> None:
        seen: tuple[float, ...] = ()
        while True:
            try:
                changed = (os.stat(certificate).st_mtime, os.stat(key).st_mtime)
                if changed != seen:
                    self.context.load_cert_chain(certificate, key)
                    self.loaded.set()
                    seen = changed
            except (OSError, ssl.SSLError) as error:
                log.warning(
                    "The webhook's certificate cannot be read", file=str(certificate), reason=str(error)
                )
            await asyncio.sleep(_FILES_S)

    def _load(self, serving: Pair) -> None:
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
            certificate.write_bytes(serving.certificate)
            key.touch(mode=0o600)
            key.write_bytes(serving.key)
            self.context.load_cert_chain(certificate, key)
        self.loaded.set()

    async def _shared(self) -> Trust:
        """What the Secret holds, made anew there where it has to be."""
        options = self._options
        while True:
            try:
                secret = await self._api.get(SECRET, self._namespace, options.secret)
            except NotFound:
                secret = None
            held = None if secret is None else _trust_in(secret)
            trust = renewed(held, self._names(), datetime.datetime.now(datetime.UTC))
            if trust is held:
                return trust
            metadata = {"name": options.secret, "namespace": self._namespace}
            try:
                if secret is None:
                    await self._api.create(
                        SECRET, {**SECRET.head(), "metadata": metadata, "data": _data(trust)}
                    )
                else:
                    data = {**(secret.get("data") or {}), **_data(trust)}
                    await self._api.replace(SECRET, {**secret, "data": data})
            except (AlreadyExists, Conflict):
                continue
            log.info("The webhook has a new certificate")
            return trust

    def _names(self) -> list[str]:
        service, namespace = self._options.service, self._namespace
        within = [
            f"{service}.{namespace}.svc",
            f"{service}.{namespace}",
            f"{service}.{namespace}.svc.cluster.local",
        ]
        return [*within, *self._options.names]

    async def _trusted(self, bundle: bytes) -> None:
        """The configuration trusts the bundle; of it nothing else is ours."""
        name = self._options.configuration
        try:
            found = await self._api.get(VALIDATING_WEBHOOK, None, name)
        except NotFound:
            log.warning("There is no ValidatingWebhookConfiguration of this name: nobody asks us", name=name)
            return
        encoded = base64.b64encode(bundle).decode()
        webhooks = found.get("webhooks") or []
        if all(webhook["clientConfig"].get("caBundle") == encoded for webhook in webhooks):
            return
        ours = [{"name": webhook["name"], "clientConfig": {"caBundle": encoded}} for webhook in webhooks]
        resource = {**VALIDATING_WEBHOOK.head(), "metadata": {"name": name}, "webhooks": ours}
        await self._api.apply(VALIDATING_WEBHOOK, resource, manager=_MANAGER)
        log.info("The API server trusts the webhook", configuration=name)


def _trust_in(secret: Mapping[str, Any]) -> Trust | None:
    data = secret.get("data") or {}
    try:
        authority, key, bundle, certificate, its_key = (base64.b64decode(data[name]) for name in _KEYS)
    except (KeyError, ValueError, TypeError):
        return None
    return Trust(Pair(authority, key), bundle, Pair(certificate, its_key))


def _data(trust: Trust) -> dict[str, str]:
    values = (
        trust.authority.certificate,
        trust.authority.key,
        trust.bundle,
        trust.serving.certificate,
        trust.serving.key,
    )
    return {name: base64.b64encode(value).decode() for name, value in zip(_KEYS, values, strict=True)}
