"""What holds of every average: at first it moves some way from where it is to the weights."""

from other_numbers import numbers_count

from rope_dit.registry import AVERAGES


def moves_some_way_to_the_weights(spec):
    assert all(0 <= AVERAGES.bind(spec)(step) <= 1 for step in (0, 1, 5, 100, 10_000, 10**7))
    assert AVERAGES.bind(spec)(0) > 0


def its_numbers_count(spec):
    numbers_count(AVERAGES, spec, lambda text: [AVERAGES.bind(text)(step) for step in (*range(300), 10_000)])


CHECKS = [moves_some_way_to_the_weights, its_numbers_count]
