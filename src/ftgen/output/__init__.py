"""What is written: the tree of manifests, and what points a reconciler at it."""
