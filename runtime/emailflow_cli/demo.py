"""`make demo`: the onboarding example with its wait shortened, a few sign-ups, and an inbox to look at.

Everything else is `emailflow dev`; this only copies the folder, posts events and says what to try.
"""

import asyncio
import json
import shutil
import signal
import tempfile
from pathlib import Path

from emailflow_api.errors import Finding
from emailflow_cli.findings import print_findings

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onboarding"
WAIT, SHORTENED = "P2D", "PT10S"
PEOPLE = (
    {"id": "u1", "email": "ana@example.com", "name": "Ana", "locale": "de", "plan": "pro"},
    {"id": "u2", "email": "bob@example.com", "name": "Bob", "locale": "en", "plan": "free"},
    {"id": "u3", "email": "chloe@example.com", "name": "Chloé", "locale": "fr", "plan": "pro"},
    {"id": "u4", "email": "dan@example.com", "name": "Dan", "locale": "en", "plan": "free"},
)
LEAVING = "u4"


def main() -> None:
    """Run until interrupted."""
    import uvloop

    with tempfile.TemporaryDirectory(prefix="emailflow-demo-") as folder:
        uvloop.run(_demo(Path(folder)))


async def _demo(folder: Path) -> None:
    from emailflow_runtime.wiring.laptop import Laptop, LaptopOptions

    manifests = folder / "onboarding"
    shutil.copytree(EXAMPLE, manifests)
    flow = manifests / "4-flow.yaml"
    flow.write_text(flow.read_text().replace(WAIT, SHORTENED))
    asked = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, asked.set)
    options = LaptopOptions(manifests, folder / "state", http_port=0, smtp_port=0, nats_port=0)
    print("Starting nats-server, the runtime and a mail catcher …", flush=True)
    async with Laptop(options, _report).running() as ports:
        url = f"http://127.0.0.1:{ports.http}"
        for person in PEOPLE:
            await _post(url, "com.example.user.signed_up", {"user": person})
            print(f"  {person['name']} signed up ({person['plan']}, {person['locale']})")
        await _welcomed(url, len(PEOPLE))
        await _post(url, "com.example.user.left", {"user": {"id": LEAVING}})
        print("  Dan left again, so he will get no tips")
        print(_explanation(url, manifests), flush=True)
        await asked.wait()


def _report(findings: list[Finding]) -> None:
    print_findings(findings)


async def _post(url: str, kind: str, data: dict[str, object]) -> None:
    import aiohttp

    event = {"specversion": "1.0", "id": f"{kind}-{json.dumps(data)}", "source": "/demo", "type": kind}
    headers = {"content-type": "application/cloudevents+json"}
    async with aiohttp.ClientSession() as session:
        body = json.dumps({**event, "data": data})
        async with session.post(f"{url}/events", data=body, headers=headers) as answer:
            if answer.status != 202:
                raise SystemExit(f"the receiver answered {answer.status}: {await answer.text()}")


async def _welcomed(url: str, mails: int) -> None:
    """Return when everybody has their welcome mail."""
    import aiohttp

    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            async with session.get(f"{url}/api/v1/messages") as answer:
                if (await answer.json())["total"] >= mails:
                    return
            await asyncio.sleep(0.1)


def _explanation(url: str, manifests: Path) -> str:
    return f"""
Open the inbox:   {url}/
The welcome mails are there, each in its person's language. The tips follow ten seconds later.

Try next:
  curl {url}/events -H 'ce-specversion: 1.0' -H 'ce-type: com.example.user.signed_up' \\
    -H 'ce-source: /me' -H 'ce-id: 1' -H 'content-type: application/json' \\
    -d '{{"user": {{"id": "me", "email": "me@example.com", "name": "Me", "plan": "pro"}}}}'
  Edit {manifests}/3-templates.yaml: saving it is applying it.

Ctrl-C ends it."""


if __name__ == "__main__":
    main()
