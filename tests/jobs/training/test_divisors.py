import pytest

from jobs.training.divisors import divisors


@pytest.mark.parametrize("number", [1, 2, 12, 16, 97, 360, 1024])
def test_divisors_are_those_that_counting_finds(number):
    assert divisors(number) == [part for part in range(1, number + 1) if number % part == 0]


def test_a_billion_has_as_many_as_its_primes_say():
    assert len(divisors(10**9)) == 100
