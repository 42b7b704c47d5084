"""Training: one loop, one export, one readable recipe a question."""
