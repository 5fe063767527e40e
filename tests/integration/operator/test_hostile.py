"""What anybody may do to an operator at work: it keeps the lease, and goes on with everybody else."""

import asyncio
import io
import ssl
from typing import Any

import aiohttp

from .conftest import FLOW, TEMPLATE, Space, runtime, until
from .test_operating import LEASES, measured

THREE_MEGABYTES = 3 << 20
CHAIN = "{{ a" + ".b" * 1000 + " }}"
DENSE = "{{x|upper}}" * 18_000


def template(name: str, *bodies: str) -> str:
    locales = [f'    - {{locale: de-l{index}, html: "{body}"}}' for index, body in enumerate(bodies)]
    lines = [
        "apiVersion: emailflow.dev/v1alpha1",
        "kind: EmailTemplate",
        f"metadata: {{name: {name}}}",
        "spec:",
        "  subject: Hello",
        "  html: Hi",
        "  locales:",
        *locales,
    ]
    return "\n".join(lines) + "\n"


async def lease_of(space: Space, home: str) -> dict[str, Any]:
    lease = await space.api.get(f"{LEASES}/{home}/leases/emailflow-operator")
    assert lease is not None
    return dict(lease["spec"])


async def post(port: int, body: bytes) -> int:
    """The status of an answer, 0 for none: whoever attacks doesn't check certificates."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
        try:
            async with session.post(f"https://127.0.0.1:{port}/validate", data=io.BytesIO(body)) as answer:
                return answer.status
        except aiohttp.ClientError:
            return 0


async def test_megabytes_for_admission_and_hostile_templates_cost_nobody_anything(
    space: Space, nats_server: Any, start_operator: Any, free_port: int, namespaces: Any
) -> None:
    operator = await start_operator("--webhook-service", "webhook", "--webhook-port", str(free_port))
    space.apply(runtime(nats_server.url))
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    before = await lease_of(space, operator.home)

    elsewhere = Space(space.kubectl, space.api, namespaces.create())
    elsewhere.apply(template("chain", CHAIN))
    elsewhere.apply(template("dense", *[DENSE] * 2))
    space.apply(template("dense", *[DENSE] * 4))

    async def answers() -> bool:
        return await post(free_port, b"{}") == 400

    assert await until(answers)
    hostile = b'{"apiVersion": "admission.k8s.io/v1", "request": ' + b"[" + b"{}," * (THREE_MEGABYTES // 3)
    posted = [asyncio.create_task(post(free_port, body)) for body in [hostile, b"[" * THREE_MEGABYTES] * 20]

    space.apply(FLOW + "---" + TEMPLATE)
    await space.becomes("emailflows", "hello", ("Unknown", "Progressing"))
    assert 200 not in await asyncio.gather(*posted)
    await elsewhere.becomes("emailtemplates", "chain", ("False", "TemplateTooComplex"))
    await elsewhere.becomes("emailtemplates", "dense", ("True", "Succeeded"))
    await space.becomes("emailtemplates", "dense", ("False", "TooLarge"))

    after = await lease_of(space, operator.home)
    assert after["leaseTransitions"] == before["leaseTransitions"]
    assert after["acquireTime"] == before["acquireTime"]
    assert await measured(operator, "leader") == 1
    assert "lease is not renewed" not in operator.log.read_text()
