"""`emailflow` whose intents end sooner, and nothing else: a new owner waits for them before it says
`unknown`, and a test with it.
"""

from emailflow_cli.main import main
from emailflow_runtime.app import sender, shard

START_WITHIN = 2
GIVE_UP_AFTER = 4

if __name__ == "__main__":
    for module in (sender, shard):
        module.START_WITHIN, module.GIVE_UP_AFTER = START_WITHIN, GIVE_UP_AFTER  # type: ignore[attr-defined]
    main()
