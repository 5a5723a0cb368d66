"""What the folder of any run or study needs: its lock, and that its files are its own.

It imports the library alone, and nothing else of records.
"""
