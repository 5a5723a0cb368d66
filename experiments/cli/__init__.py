"""The command line: arguments, listings, progress, exit codes, signals, plug-ins.

What every command shares may live here, and nothing that knows runs or studies. Files here import `rope_dit`
alone of the project, and no torch, so that `--help` and a typo are answered at once.
"""
