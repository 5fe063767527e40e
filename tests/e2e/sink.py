"""An SMTP server that keeps every mail, and says over HTTP what it has: the independent witness of the tests.

It runs in a pod, from a ConfigMap, with what the image has. While it is held it takes mails whole and answers
none of them, as a server does that is about to die.

    GET  /mails?to=ADDRESS&count=N&wait=SECONDS   mails to ADDRESS (absent: all), once there are N, or late
    POST /hold, POST /release
"""

import asyncio
import email
import email.policy
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session


class Sink:
    """Mails in the order of arrival; `answered` says whether the client was told 250."""

    def __init__(self) -> None:
        self.mails: list[dict[str, Any]] = []
        self.changed = asyncio.Condition()
        self.open = asyncio.Event()
        self.open.set()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw = envelope.content or b""
        content = raw if isinstance(raw, bytes) else raw.encode()
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        body = parsed.get_body(("plain", "html"))
        mail = {
            "to": envelope.rcpt_tos,
            "from": envelope.mail_from,
            "subject": parsed["subject"],
            "id": parsed["message-id"],
            "headers": {name.lower(): str(value) for name, value in parsed.items()},
            "text": body.get_content() if body is not None else "",
            "answered": False,
        }
        self.mails.append(mail)
        await self._tell()
        await self.open.wait()
        mail["answered"] = True
        return "250 2.0.0 kept"

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    def found(self, to: str) -> list[dict[str, Any]]:
        return [mail for mail in self.mails if not to or to in mail["to"]]

    async def get(self, request: web.Request) -> web.Response:
        to, count = request.query.get("to", ""), int(request.query.get("count", "0"))
        try:
            async with asyncio.timeout(float(request.query.get("wait", "0"))), self.changed:
                await self.changed.wait_for(lambda: len(self.found(to)) >= count)
        except TimeoutError:
            pass
        return web.json_response(self.found(to))

    async def hold(self, request: web.Request) -> web.Response:
        self.open.clear()
        return web.json_response({})

    async def release(self, request: web.Request) -> web.Response:
        self.open.set()
        return web.json_response({})


async def main() -> None:
    sink = Sink()
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: SMTP(sink, enable_SMTPUTF8=True, loop=loop), "0.0.0.0", 587)
    app = web.Application()
    app.add_routes([web.get("/mails", sink.get)])
    app.add_routes([web.post("/hold", sink.hold), web.post("/release", sink.release)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 8080).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
