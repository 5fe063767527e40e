"""Who may send events to a pod: bearers of the receiver's own tokens, and ServiceAccounts of the cluster."""

from collections.abc import Callable, Sequence
from pathlib import Path

from emailflow_api.pod_settings import PodSettings, audience
from emailflow_runtime.adapters.http_door import Anonymous, FileTokens, TokenVerifier
from emailflow_runtime.adapters.http_door.errors import Unauthorized
from emailflow_runtime.adapters.system_clock import SystemClock
from emailflow_runtime.errors import Unavailable


class AnyOf:
    """Lets in whom one of the verifiers lets in."""

    def __init__(self, verifiers: Sequence[TokenVerifier]) -> None:
        self._verifiers = verifiers

    async def verify(self, token: str) -> None:
        """See TokenVerifier. What can't be told now by one of them is not called wrong."""
        refusals: list[Unavailable | Unauthorized] = []
        for each in self._verifiers:
            try:
                await each.verify(token)
                return
            except (Unavailable, Unauthorized) as refusal:
                refusals.append(refusal)
        raise next((each for each in refusals if isinstance(each, Unavailable)), refusals[0])


def callers(
    settings: PodSettings, namespaces: Callable[[], Sequence[str]]
) -> TokenVerifier | Anonymous | None:
    """Who is let in by these settings; None: nobody. `namespaces` are those whose ServiceAccounts may send,
    now (`*`: all)."""
    if settings.anonymous:
        return Anonymous()
    verifiers: list[TokenVerifier] = []
    if settings.tokens:
        verifiers.append(FileTokens(Path(settings.tokens), late=True))
    if settings.issuer and settings.jwks:
        # Late, since whoever lets no ServiceAccounts in can do without its memory.
        from emailflow_runtime.adapters.http_door.service_accounts import ServiceAccountTokens

        keys = Path(settings.jwks)
        verifiers.append(
            ServiceAccountTokens(
                keys,
                issuer=settings.issuer,
                audience=audience(settings.namespace, settings.name),
                namespaces=namespaces,
                clock=SystemClock(),
            )
        )
    return AnyOf(verifiers) if verifiers else None
