"""Versions of variants by the bytes that early records hold the hash of."""

import hashlib
import itertools

import pytest

from experiments.config.source_hashes import VERSIONS, versions_of
from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry
from rope_dit.pos_embed.compose import build

AT_2CDD03A = {
    "learned": "3037cd6ba0445286711084c384100ace182be0f8a9ba1a7b56f9854a0d938686",
    "none": "c2a61c2928f770f596bccf4ff79b0b0f0ed3194b554adb628fde38ec6d4d34ba",
    "rope1d": "4c3db7fd5c69e0ca76e681554479c48a0076a92cff9717137b04c97f4ee04351",
    "rope2d": "6a6a3363ecd56996aeccba072f698e3d11dd9ebfb07ec72aad95c393e8c05ed8",
    "sincos2d": "1ff35624c731532e63065341c7d1a795c03e049eb1d806d8769192b91ef70819",
    "learned+rope1d": "036df1438852ef6abcfe8c3911f9211993a9b82600ea29a3580fd66898c15b27",
    "learned+rope2d": "5265a68f98e3db74a2c2e798aca05495e5cc60fc34695c7957e06854c633bb81",
    "learned+sincos2d": "65fb73ee04ff388ef6db01948a04ffbf610b1d098d6d7dfd31f55fc6da5af910",
    "rope1d+sincos2d": "ba41623095e35df30777adae15b757a4a0ce04a3013d63aabecc69bfbfae6c82",
    "rope2d+sincos2d": "591fc731761870169dfa070c01caf1b39ea0ef7deb59629767ce20192722a375",
    "learned+rope1d+sincos2d": "e6a78e9e1f03c055d70f28f4b4e26d16bd299f440bd116ec426c646d078e076b",
    "learned+rope2d+sincos2d": "25bbb346d45006fe0fcec5ade65760522aa15bb5a3e654649881780c39365774",
}
"""SHA-256 of `git show 2cdd03a:rope_dit/pos_embed/NAME.py` of all parts, one after the other"""


@pytest.mark.parametrize(("spec", "sha256"), AT_2CDD03A.items())
def test_what_shipped_is_known(spec, sha256):
    assert versions_of(spec, sha256) == dict.fromkeys(spec.split("+"), 1)


def test_every_legal_spec_of_the_time_is_known():
    """And nothing else: two that rotate, and `none` beside others, were refused."""
    single = [name for name in AT_2CDD03A if "+" not in name]
    legal = set()
    for names in (c for k in range(1, len(single) + 1) for c in itertools.combinations(single, k)):
        try:
            build("+".join(names), Geometry(32, 4, 8, 2, (5, 7)))
        except UserError:
            continue
        legal.add("+".join(names))
    assert legal == set(AT_2CDD03A) == {names for names, _ in VERSIONS}


def test_options_and_order_do_not_matter():
    sha256 = AT_2CDD03A["learned+rope2d"]
    assert versions_of("rope2d:theta=5 + learned:std=1", sha256) == {"learned": 1, "rope2d": 1}


@pytest.mark.parametrize(
    ("spec", "sha256"),
    [
        ("rope2d", AT_2CDD03A["rope1d"]),
        ("rope2d", AT_2CDD03A["learned+rope2d"]),
        ("mine", hashlib.sha256(b"mine").hexdigest()),
        ("rope2d", hashlib.sha256(b"edited").hexdigest()),
        ("rope2d", ""),
    ],
)
def test_other_files_are_not(spec, sha256):
    assert versions_of(spec, sha256) is None
