"""Streams through an attention decoder: decoded again and again, kept where texts agree."""
