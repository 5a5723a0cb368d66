"""Pictures out of files: finding them in a tree of folders, decoding them, and keeping what was decoded.

For data sets that are folders; nothing here knows of training. Files here import what data sets may import.
"""
