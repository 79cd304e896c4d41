#!/bin/bash
# Process 1 of the node, in PID and mount namespaces of its own: when it ends, whatever runs on the node ends with it,
# shims and containers included, and every mount is gone. It ends when containerd or the kubelet does.
#
#   boot.sh LOGS VOLATILE CONTAINERD-CONFIG SOCKET [FILE KERNEL-SETTING]… -- KUBELET…
set -euo pipefail
logs=$1 volatile=$2 containerd=$3 socket=$4
shift 4

# Where the kubelet and containerd leave things whatever they are told: their own to see, and gone with them.
for shared in /run /var/log; do
    mount -t tmpfs -o mode=755 node "$shared"
done
mkdir /run/upper /run/work # /var/lib/kubelet/device-plugins, which is not everywhere: nothing to mount over
mount -t overlay -o lowerdir=/var/lib,upperdir=/run/upper,workdir=/run/work node /var/lib
while [ "$1" != -- ]; do
    mount --bind "$1" "$2"
    shift 2
done
shift

rm -rf "$volatile"
mkdir -p "$volatile"

containerd --config "$containerd" >> "$logs/node-containerd.log" 2>&1 &
runtime=$!
until [ -S "$socket" ]; do
    kill -0 "$runtime" || { echo "containerd ended at its start; see node-containerd.log"; exit 1; }
    sleep 0.05
done
"$@" >> "$logs/node-kubelet.log" 2>&1 &
wait -n || true
echo "containerd or kubelet ended; see node-containerd.log and node-kubelet.log"
exit 1
