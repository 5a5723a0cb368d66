"""Copies of a study besides its own folder: in the tracking store, and as small files that travel.

Files here import the coordinator's plan, cells and trials, and the rooms before it.
"""
