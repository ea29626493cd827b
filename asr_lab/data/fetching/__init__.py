"""Corpora from where they are published: fetched to the byte, checked, unpacked safely."""
