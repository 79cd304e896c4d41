"""A real node for the lab's cluster: kubelet, containerd and runc, so that Pods really run."""
