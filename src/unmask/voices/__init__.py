"""Where somebody speaks in a recording, and the form in which voices are given to a network."""
