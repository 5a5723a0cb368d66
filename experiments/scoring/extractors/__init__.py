"""Extractors: networks that turn pictures into features, and the files with their weights.

An extractor sees pictures alone, whoever made them. Files here import what scoring may import, but no metric.
"""
