#!/usr/bin/env bash
# Three small networks on MNIST, three seeds each, 10,000 digits held out; nothing is chosen by them.
#
#   examples/mnist.sh mnist-train.zip [NETWORK...]
#
# The zip holds the 60,000 training digits in ten class folders.
set -euo pipefail

digits=$1
shift
[ $# -gt 0 ] || set -- mnist-base mnist-best tiny-mnist

[ -d raw ] || imgcli import "$digits" --out raw
[ -d dataset ] || imgcli split raw/ --ratio 0.8333333 --duplicates exact

for network; do
    for seed in 1 2 3; do
        imgcli train --arch "$network" --seed "$seed" --augment shift --rotate 10 \
            --optimizer adamw --lr 0.002 --batch-size 128 --schedule one-cycle --epochs 20 \
            --val-share 0 --ema 0.999
        imgcli evaluate
    done
done
