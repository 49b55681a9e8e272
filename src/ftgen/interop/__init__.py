"""To and from other tools: kustomize, `docker run`, manifests of others."""
