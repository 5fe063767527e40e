"""`emailflow send-event`: one CloudEvent to a receiver, made with the CloudEvents SDK, as producers do."""

import asyncio
import json
import secrets
import sys
from typing import Annotated, Any

import typer


def send_event(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="The CloudEvents type.")],
    data: Annotated[str, typer.Option("--data", "-d", help="JSON data, or - for standard input.")] = "{}",
    url: Annotated[str, typer.Option(help="The receiver.")] = "http://127.0.0.1:8080/events",
    source: Annotated[str, typer.Option(help="The CloudEvents source.")] = "/emailflow/cli",
    event_id: Annotated[str, typer.Option("--id", help="The CloudEvents id; else a new one.")] = "",
    subject: Annotated[str, typer.Option(help="The CloudEvents subject.")] = "",
    token: Annotated[
        str, typer.Option(envvar="EMAILFLOW_TOKEN", help="Bearer token; better by the variable.")
    ] = "",
) -> None:
    """Send one event, and say what the receiver answered. Exits with 1 when it was not accepted."""
    text = sys.stdin.read() if data == "-" else data
    try:
        body = json.loads(text)
    except ValueError as error:
        print(f"error: --data: expected JSON: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    attributes = {"type": event_type, "source": source, "id": event_id or secrets.token_hex(8)}
    if subject:
        attributes["subject"] = subject
    status, answer = asyncio.run(post(url, attributes, body, token))
    if status == 202:
        print(f"accepted {attributes['id']}")
        return
    print(f"error: {status}: {answer}", file=sys.stderr)
    raise typer.Exit(1)


async def post(url: str, attributes: dict[str, str], body: Any, token: str) -> tuple[int, str]:
    """The status and the words of the receiver's answer; 0 when nobody answers."""
    import aiohttp
    from cloudevents.v1.conversion import to_structured
    from cloudevents.v1.http import CloudEvent

    headers, payload = to_structured(CloudEvent({**attributes, "datacontenttype": "application/json"}, body))
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
            session.post(url, data=payload, headers=headers) as response,
        ):
            return response.status, await response.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        return 0, f"{url} is not to be reached: {type(error).__name__}"
