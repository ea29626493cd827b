"""Recordings and streams to text."""
