"""For all tests: how long an example takes is no reason to fail, since machines are shared."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
