"""What a run promises, tried out: that it goes on exactly after a kill, and that its record makes it again."""
