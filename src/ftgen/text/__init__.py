"""Text formats: paths into manifests, tables."""
