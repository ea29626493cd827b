"""Waveforms: reading, resampling, features and augmentation."""
