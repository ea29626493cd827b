"""TOML to frozen sections, and every problem with its line. Knows neither torch nor speech."""
