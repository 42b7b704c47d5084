"""The detector `provenance.c2pa`."""
