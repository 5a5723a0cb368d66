"""Studies that ship: each a file that opens with its command, its cost and what to expect.

A file here holds settings, as STUDY and perhaps SPACE, and nothing that acts. Files here import `config`
alone.
"""
