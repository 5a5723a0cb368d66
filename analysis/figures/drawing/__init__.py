"""What figures are drawn with: colours, markers and sizes, and pieces that several of them share.

Files here import no figure: they know frames and axes, not studies.
"""
