"""The ways out in a pod follow what the kubelet mounts and what is declared."""

import pytest
from msgspec.structs import replace

from emailflow_api.plans import ProviderPlan, Rate, SecretKey, Smtp
from emailflow_runtime.adapters.secrets_folder import SecretsFolder
from emailflow_runtime.wiring.ways_out import WaysOut

from .test_secrets_folder import mount

KEY = SecretKey("mail", "smtp", "password")
PROVIDER = ProviderPlan("mail", "relay", Smtp(host="relay.example", username="shop", password=KEY))


@pytest.fixture
def ways_out(tmp_path):
    mount(tmp_path / "smtp", 1, password="first")
    return WaysOut(SecretsFolder(tmp_path, "mail"))


async def test_a_rotated_password_is_another_way(ways_out, tmp_path):
    before = ways_out.transport(PROVIDER)
    assert ways_out.transport(PROVIDER) is before

    mount(tmp_path / "smtp", 2, password="second")

    assert ways_out.transport(PROVIDER) is not before


async def test_settings_that_are_no_matter_of_the_connection_leave_it(ways_out):
    before = ways_out.transport(PROVIDER)

    assert ways_out.transport(replace(PROVIDER, rate=Rate(per_second=3))) is before


async def test_a_provider_that_is_gone_takes_its_way_along(ways_out):
    gone, stays = ways_out.transport(PROVIDER), ways_out.transport(replace(PROVIDER, name="stays"))

    ways_out.keep_only({"stays"})
    await ways_out.close()

    assert ways_out.transport(replace(PROVIDER, name="stays")) is stays
    assert ways_out.transport(PROVIDER) is not gone
