"""Which versions of the variants early runs were made with, told by what their records hold instead.

Up to commit 2cdd03a the identity of a run held the SHA-256 of its variants' files, as "variant source": the
bytes of all parts in the order of the canonical spec. The files here are those of 8bb343f to 2cdd03a, none of
which changed between. The table is closed: later records hold versions.
"""

from rope_dit.registry.specs import Part

VERSIONS: dict[tuple[str, str], tuple[int, ...]] = {
    ("learned", "3037cd6ba0445286"): (1,),
    ("none", "c2a61c2928f770f5"): (1,),
    ("rope1d", "4c3db7fd5c69e0ca"): (1,),
    ("rope2d", "6a6a3363ecd56996"): (1,),
    ("sincos2d", "1ff35624c731532e"): (1,),
    ("learned+rope1d", "036df1438852ef6a"): (1, 1),
    ("learned+rope2d", "5265a68f98e3db74"): (1, 1),
    ("learned+sincos2d", "65fb73ee04ff388e"): (1, 1),
    ("rope1d+sincos2d", "ba41623095e35df3"): (1, 1),
    ("rope2d+sincos2d", "591fc73176187016"): (1, 1),
    ("learned+rope1d+sincos2d", "e6a78e9e1f03c055"): (1, 1, 1),
    ("learned+rope2d+sincos2d", "25bbb346d45006fe"): (1, 1, 1),
}
"""(names in the order of the canonical spec, first 16 hex digits of the SHA-256) -> version of each part"""


def versions_of(spec: str, sha256: str) -> dict[str, int] | None:
    """Return the version of each part of a recorded spec, or None where the files are none of ours.

    >>> versions_of("learned:std=0.02+rope2d:theta=100", "5265a68f98e3db74a2c2e798aca05495" + 32 * "0")
    {'learned': 1, 'rope2d': 1}
    """
    names = sorted(Part.parse(part).name for part in spec.split("+"))
    versions = VERSIONS.get(("+".join(names), sha256[:16]))
    return None if versions is None else dict(zip(names, versions, strict=True))
