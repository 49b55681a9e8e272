"""To and from other tools: kustomize, `docker run`, manifests of others; and a directory of one's own."""
