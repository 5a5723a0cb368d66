"""The harness: settings, data, scores, tracking, studies, and the commands that users start.

Each command is a file here and thin; what it does lies in a room. The rooms in their order: cli, config,
records, datasets, scoring, runner, coordinator, benchmark. A room imports itself, rooms before it and
`rope_dit`, commands import all of them; `studies` imports config alone. Of `analysis` only `study.py`
imports anything.
"""
