"""Small languages of text: paths into manifests, tables."""
