"""Readers: what a file is, its pixels, frames and samples."""
