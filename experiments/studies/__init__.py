"""Studies that ship: each a file that opens with its command, its cost and what to expect."""
