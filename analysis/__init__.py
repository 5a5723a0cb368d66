"""Reads the tracking store into pandas. Imports no torch."""
