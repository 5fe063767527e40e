"""The transports and signers of providers, made when first needed and again when their plan changes."""

import asyncio
import contextlib
from collections.abc import Container
from typing import Protocol

from emailflow_api.plans import Catcher, ProviderPlan, SecretKey, Smtp
from emailflow_runtime.adapters.smtp import SmtpTransport
from emailflow_runtime.app.composing import Signer
from emailflow_runtime.app.ports import MailTransport
from emailflow_runtime.rendering.dkim import DkimSigner

GOODBYE_WITHIN = 2.0
"""Seconds that ending may take because of providers."""


class Secrets(Protocol):
    """Where secret values are."""

    def secret(self, key: SecretKey) -> bytes:
        """The value. Raises EmailFlowError."""


class WaysOut:
    """The port Transports. A replaced transport finishes what it has begun."""

    def __init__(self, secrets: Secrets, catcher_port: int = 0) -> None:
        """`catcher_port` is where the mail catcher of `emailflow dev` listens; a pod has none."""
        self._secrets = secrets
        self._catcher = Smtp(host="127.0.0.1", port=catcher_port, tls="None")
        self._transports: dict[str, tuple[object, MailTransport]] = {}
        self._signers: dict[str, tuple[object, Signer]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def transport(self, provider: ProviderPlan) -> MailTransport:
        """See Transports."""
        declared = self._catcher if isinstance(provider.transport, Catcher) else provider.transport
        password = self._secrets.secret(declared.password) if declared.password else None
        ca = self._secrets.secret(declared.ca) if declared.ca else None
        wanted = (declared, password, ca, provider.rate.concurrency)
        known = self._transports.get(provider.name)
        if known is not None and known[0] == wanted:
            return known[1]
        made = SmtpTransport(
            declared,
            password=password,
            ca=ca,
            concurrency=provider.rate.concurrency,
            hello=declared.hello,
        )
        self._transports[provider.name] = (wanted, made)
        if known is not None:
            self._let_go(known[1])
        return made

    def keep_only(self, providers: Container[str]) -> None:
        """Let go of the ways to all others, and of their secrets."""
        for name in [name for name in self._transports if name not in providers]:
            self._let_go(self._transports.pop(name)[1])
        for name in [name for name in self._signers if name not in providers]:
            del self._signers[name]

    def _let_go(self, transport: MailTransport) -> None:
        task = asyncio.create_task(transport.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def signer(self, provider: ProviderPlan) -> Signer | None:
        """See Transports."""
        if provider.dkim is None:
            return None
        key = self._secrets.secret(provider.dkim.key)
        wanted = (provider.dkim, key)
        known = self._signers.get(provider.name)
        if known is None or known[0] != wanted:
            signer = DkimSigner(provider.dkim.domain, provider.dkim.selector, key)
            known = self._signers[provider.name] = (wanted, signer)
        return known[1]

    async def close(self) -> None:
        """Say goodbye to every provider. One that doesn't answer is left: what it had begun to take is
        recorded as unknown by the next owner."""
        transports = [transport for _, transport in self._transports.values()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_WITHIN):
                await asyncio.gather(*(each.close() for each in transports), *self._closing)
