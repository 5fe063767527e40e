"""A backup of one runtime by `emailflow backup`, and back into a NATS that holds nothing."""

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from emailflow_api.jetstream.naming import Role

from .conftest import NAMES, Installation, provision

KIND = "com.example.signed_up"


async def emailflow(*arguments: str) -> tuple[int, str]:
    """Run the command; its exit status and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emailflow_cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def reach(installation: Installation) -> list[str]:
    """The options that lead into an installation's NATS: the Secret as it is mounted."""
    keys = installation.folder / "keys"
    keys.mkdir(exist_ok=True)
    for name, value in installation.auth.items():
        (keys / name).write_text(value)
    trusted = [f"--ca={installation.ca}"] if installation.ca else []
    return [
        f"--runtime={NAMES.namespace}/{NAMES.name}",
        f"--nats={installation.url}",
        f"--keys={keys}",
        *trusted,
    ]


async def filled(installation: Installation) -> dict[str, Any]:
    """Streams with something in them, and a reader that has read some; where they are."""
    operator = await installation.connect(Role.OPERATOR)
    await provision(operator, NAMES)
    runtime = await installation.connect(Role.RUNTIME)
    for number in range(300):
        await runtime.request(NAMES.event_subject(0, KIND), b"x" * 5_000, {"ce-id": str(number)})
    await runtime.request(NAMES.state_subjects(0).epoch, b"1")
    config = {"durable_name": "shop_hello", "name": "shop_hello", "ack_policy": "none"}
    await operator.api(
        f"CONSUMER.CREATE.{NAMES.events}.shop_hello", {"stream_name": NAMES.events, "config": config}
    )
    found = await positions(operator)
    await runtime.close()
    await operator.close()
    return found


async def positions(operator: Any) -> dict[str, Any]:
    listed = (await operator.api("STREAM.LIST"))["streams"]
    kept = ("messages", "last_seq", "consumer_count")
    return {
        each["config"]["name"]: {key: each["state"][key] for key in kept}
        for each in listed
        if not each["config"]["name"].endswith("_LEASES")
    }


async def test_a_backup_goes_back_into_a_nats_that_holds_nothing(installation: Any, tmp_path: Path) -> None:
    held = await filled(installation)
    folder = tmp_path / "backup"

    status, said = await emailflow("backup", "take", str(folder), *reach(installation))
    assert (status, sorted(said.split())) == (0, sorted(held))

    # The disk is lost; the keys are not.
    await installation.stop()
    shutil.rmtree(installation.folder / "js")
    shutil.rmtree(installation.folder / "accounts")
    installation.opens = ()
    await installation.start()
    for _ in range(2):  # interrupted, and once more
        status, said = await emailflow("backup", "restore", str(folder), *reach(installation))
        assert (status, sorted(said.split())) == (0, sorted(held)), said

    await installation.open(NAMES)
    operator = await installation.connect(Role.OPERATOR)
    assert await positions(operator) == held
    await provision(operator, NAMES)
    assert await positions(operator) == held
    await operator.close()


async def test_nothing_is_restored_over_a_runtime_that_is_there(installation: Any, tmp_path: Path) -> None:
    await filled(installation)
    folder = tmp_path / "backup"
    assert (await emailflow("backup", "take", str(folder), *reach(installation)))[0] == 0
    runtime = await installation.connect(Role.RUNTIME)
    await runtime.request(NAMES.event_subject(0, KIND), b"later")
    await runtime.close()

    status, said = await emailflow("backup", "restore", str(folder), *reach(installation))

    assert status == 1
    assert "StreamsInUse" in said


async def test_a_copy_of_several_moments_is_no_backup(installation: Any, tmp_path: Path) -> None:
    from emailflow_operator.adapters.backup_folder import BackupFolder
    from emailflow_operator.control import backup
    from emailflow_operator.errors import StreamsInUse

    await filled(installation)
    runtime = await installation.connect(Role.RUNTIME)
    connection = await installation.servers.connection(await installation.accounts.server(NAMES, Role.BACKUP))

    class Busy(BackupFolder):
        async def keep(self, name: str, taken: Any) -> None:
            await super().keep(name, taken)
            await runtime.request(NAMES.event_subject(0, KIND), b"meanwhile")

    with pytest.raises(StreamsInUse, match="expected the runtime's pods to be away"):
        await backup.take(connection, NAMES, Busy(tmp_path / "backup"))
    await runtime.close()


@pytest.mark.parametrize("options", [[], ["--keys=x", "--creds=y"]])
async def test_it_asks_for_one_way_in(options: list[str], tmp_path: Path) -> None:
    where = ["--runtime=mail/default", "--nats=nats://127.0.0.1:1"]
    status, said = await emailflow("backup", "take", str(tmp_path), *where, *options)
    assert status != 0
    assert "either --keys or --creds" in said
