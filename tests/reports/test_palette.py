"""Colours that stand out on light and on dark and that all readers tell apart; labels that do not overlap."""

import numpy as np
import pytest
from drawn import ARMS, line, scores
from matplotlib.colors import to_rgb

from analysis.figures.drawing import palette
from analysis.figures.drawing.palette import colors
from analysis.figures.steps import score_against_steps


def luminance(color):
    c = np.array(to_rgb(color))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("ground", ["#ffffff", "#121417"])
def test_colours_and_ink_stand_out_on_light_and_dark(ground):
    for color in (*colors([f"arm-{i:02d}" for i in range(8)]).values(), palette.INK):
        dark, light = sorted((luminance(color), luminance(ground)))
        assert (light + 0.05) / (dark + 0.05) > 3.0, color


DICHROMACY = {  # Machado et al. 2009, severity 1.0, on linear RGB
    "none": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(linear):
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(linear, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", DICHROMACY)
def test_eight_colours_are_told_apart(sight):
    rgb = np.array([to_rgb(c) for c in palette.SAFE])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = [lab(np.array(DICHROMACY[sight]) @ color) for color in linear]
    apart = min(np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i])
    assert apart > 14  # differences of 2 are just seen side by side


def test_an_arm_has_one_colour_whatever_the_order():
    assert colors(ARMS) == colors(ARMS[::-1])
    assert len(set(colors([f"a{i}" for i in range(20)]).values())) == 20


def test_a_palette_of_the_study_is_kept_where_arms_are_missing():
    whole = colors(ARMS)
    made = score_against_steps(scores(["none"], steps=(20, 40)), "fd_digits", ["none"], palette=whole)
    assert whole["none"] != colors(["none"])["none"]
    assert line(made, whole["none"])[0].tolist() == [20, 40]


def test_labels_keep_their_distance_and_their_order():
    placed = palette.spread([0.1, 0.5, 0.5, 0.52, 0.99, 1.0], 0.06)
    assert placed[0] == 0.1
    assert max(placed) <= 1.0
    assert min(np.diff(placed)) > 0.06 - 1e-9
