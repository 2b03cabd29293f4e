"""End-to-end tests on the cluster of the current kubeconfig: `make e2e`."""
