"""Parts of a picture that lie elsewhere in it again."""
