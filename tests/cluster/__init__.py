"""ftgen's promises about a cluster, asked of the cluster that KUBECONFIG names (`make test-cluster`)."""
