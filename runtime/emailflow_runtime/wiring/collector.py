"""The garbage collector of a process that serves, and nothing else.

Contacts and journeys in memory are many, live long and refer to each other in no circle: counting references
frees them. Looking through all of them again and again took a tenth of the time.
"""

import gc


def spare() -> None:
    """Leave out what is there now, and look at the rest seldom. To be called once, when all is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
