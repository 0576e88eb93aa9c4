"""A real control plane of Kubernetes for the tests, without containers, and a kubelet that runs processes.

`build` makes the programs once a version, `cluster` starts them, `kubelet` runs pods as local processes;
`python -m tests.controlplane` builds, and with `up` keeps a cluster running between test runs.
"""
