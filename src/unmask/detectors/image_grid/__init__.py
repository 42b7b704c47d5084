"""Parts of a picture on another JPEG grid."""
