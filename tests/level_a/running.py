"""How schedules are run, by pytest and by hand."""

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

#: The longest schedule, in steps.
STEPS = 15


def run(schedules: int, number: int) -> dict[str, int]:
    """Run so many schedules of a seed; the first that fails is shrunk and printed.

    Models must be loaded and tables be there. Returns what they came to: schedules, steps, ...
    """
    from tests.level_a.machine import Schedules
    from tests.level_a.stage import make_cast

    if not hasattr(Schedules, "cast"):
        Schedules.cast = make_cast()
    before = Schedules.totals.copy()
    profile = settings(
        max_examples=schedules,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(seed(number)(Schedules), settings=profile)
    except BaseException:
        print(f"Level A: seed {number}, {schedules} schedules")
        raise
    return dict(Schedules.totals - before)
