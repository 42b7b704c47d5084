"""Periodic peaks of upsampling."""
