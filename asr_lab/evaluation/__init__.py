"""Decoding, scoring with intervals, and reports."""
