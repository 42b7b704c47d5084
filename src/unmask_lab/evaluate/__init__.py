"""Examine a labelled set with the installed detectors, and measure them."""
