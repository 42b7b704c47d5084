"""What a file proves about its origin: Content Credentials, metadata, container facts. Facts, never a score."""
