"""What is there is brought to what is wanted, also what an earlier version has made."""

from tests.integration.jetstream.conftest import RUNTIME

from emailflow_runtime.adapters.jetstream.provision import provision_streams


async def test_a_stream_keeps_what_can_not_be_taken_back(connection, names):
    # Waits were schedules once, and nats-server does not let a stream do without them again.
    stream = names.state(0)
    config = (await connection.api(f"STREAM.INFO.{stream}"))["config"]
    await connection.api(f"STREAM.UPDATE.{stream}", {**config, "allow_msg_schedules": True})

    await provision_streams(connection, RUNTIME, events_bytes=64 << 20)

    after = (await connection.api(f"STREAM.INFO.{stream}"))["config"]
    assert after["allow_msg_schedules"]
    assert after["allow_msg_ttl"]
