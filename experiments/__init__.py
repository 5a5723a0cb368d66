"""The harness: settings, data, scores, tracking, and the commands."""
