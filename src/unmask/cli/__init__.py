"""The command line: it parses, calls the library, renders, and returns an exit code."""
