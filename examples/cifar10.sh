#!/usr/bin/env bash
# Two networks for the 32 × 32 pictures of CIFAR-10, 10,000 of them held out; nothing is chosen by
# those.
#
#   examples/cifar10.sh cifar10-train.zip [NETWORK...]
#
# The zip holds the 50,000 training pictures in ten class folders.
set -euo pipefail

pictures=$1
shift
[ $# -gt 0 ] || set -- cifar-fast cifar-cnn

[ -d raw ] || imgcli import "$pictures" --out raw
[ -d dataset ] || imgcli split raw/ --ratio 0.8

for network; do
    imgcli train --arch "$network" $([ "$network" = cifar-fast ] || echo --augment small --batchnorm)
    imgcli evaluate
done
