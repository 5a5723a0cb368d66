"""What readers see of a report: sentences, tables of text, and the templates of its page, Markdown and LaTeX.

They may import all other rooms of analysis, which import nothing from here; only `analysis.report` does.
"""
