"""Pictures of a finished run at another size than it was trained at."""

import numpy as np
import pytest
from commands import call, copy_fixture, finished_fixture, work_elsewhere  # noqa: F401  fixtures


def sampled(name: str, *args: str) -> np.ndarray:
    result = call("sample", "run", "--n", "3", "--out", f"{name}.npz", "--sampler", "euler:steps=2", *args)
    assert (result.code, result.err) == (0, "")
    pictures: np.ndarray = np.load(f"{name}.npz")["arr_0"]
    return pictures


def test_larger_pictures_with_and_without_an_extrapolation(copy):
    plain = sampled("plain", "--size", "12x16")
    none = sampled("none", "--size", "12x16", "--extrapolation", "none")
    yarn = sampled("yarn", "--size", "12x16", "--extrapolation", "yarn:beta=4")
    assert plain.shape[:3] == (3, 12, 16)
    assert np.array_equal(plain, none)
    assert not np.array_equal(plain, yarn)


def test_one_number_is_a_square(copy):
    assert sampled("small", "--size", "4").shape[:3] == (3, 4, 4)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--size", "13x16"), "--size got '13x16', expected sides that the model's patch, 2, divides"),
        (("--size", "big"), "size got 'big', expected height x width in pixels"),
        (("--size", "0x4"), "size got '0x4'"),
        (("--size", "8x8x8"), "size got '8x8x8'"),
        (("--extrapolation", "yarn"), "extrapolation got 'yarn', expected --size with a side beyond"),
        (("--size", "8x8", "--extrapolation", "ntk"), "expected --size with a side beyond"),
        (("--size", "16", "--extrapolation", "ntkk"), "unknown extrapolation 'ntkk'. Did you mean 'ntk'?"),
        (("--size", "16", "--extrapolation", "dype"), "dype fades another one"),
    ],
)
def test_what_cannot_be_is_refused(copy, args, words):
    result = call("sample", "run", "--n", "2", "--out", "out.npz", *args)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.splitlines()[0]) <= 207
