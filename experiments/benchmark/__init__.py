"""What `experiments.bench` times: workloads, and a plain DiT to compare with.

Nothing that a run or a study needs may live here. Files here import `rope_dit` and the rooms up to `runner`.
"""
