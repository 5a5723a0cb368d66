"""What holds of every schedule: it begins at the highest rate, and stays between 0 and that."""

from other_numbers import numbers_count

from rope_dit.registry import SCHEDULES


def begins_at_the_highest_rate(spec):
    assert SCHEDULES.bind(spec)(0.0) == 1


def stays_between_nothing_and_the_highest_rate(spec):
    shares = [SCHEDULES.bind(spec)(i / 100) for i in range(100)]
    assert all(0 < share <= 1 for share in shares)


def its_numbers_count(spec):
    numbers_count(SCHEDULES, spec, lambda text: [SCHEDULES.bind(text)(i / 100) for i in range(100)])


CHECKS = [begins_at_the_highest_rate, stays_between_nothing_and_the_highest_rate, its_numbers_count]
