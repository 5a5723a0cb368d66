"""What is made of pictures and velocities besides scores: grids to look at, and how true solvers are.

Its files import what scoring imports, and the generator of `experiments.scoring`; no score depends on them.
"""
