"""Small languages of text: YAML, Kubernetes' quantities and names, paths into manifests, tables; and reading files."""
