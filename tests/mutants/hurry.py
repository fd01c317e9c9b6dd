"""A pytest plugin: properties draw the same examples every time, and stop at the first that fails instead of shrinking
it. Mutants ask whether a test fails, not why, and shrinking takes minutes."""

from hypothesis import Phase, settings

settings.register_profile(
    "mutants", derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("mutants")
