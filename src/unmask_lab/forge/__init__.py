"""Seeded forgeries of real media, with masks: the lab's material for evaluation and calibration."""
