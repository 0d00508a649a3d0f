#!/usr/bin/env bash
# Three small networks on MNIST, three seeds each, and what one label per digit is worth. 10,000
# digits are held out; nothing is chosen by them.
#
#   examples/mnist.sh mnist-train.zip [NETWORK...]
#
# The zip holds the 60,000 training digits in ten class folders. A network at a time keeps it under
# half an hour on two cores, for mnist-best a seed at a time: SEEDS=1 examples/mnist.sh … mnist-best.
# "one-label" stands for the last study.
set -euo pipefail

digits=$1
shift
[ $# -gt 0 ] || set -- tiny-mnist mnist-base mnist-best one-label

[ -d raw ] || imgcli import "$digits" --out raw
[ -d dataset ] || imgcli split raw/ --ratio 0.8333333 --duplicates exact

# Turned and moved a little, as digits are; never mirrored.
turned="--augment none --shift 0.08 --rotate 10"
steps="--optimizer adamw --batch-size 128 --schedule one-cycle --val-share 0 --ema 0.999"

for network; do
    for seed in ${SEEDS:-1 2 3}; do
        case $network in
            tiny-mnist) set -- --epochs 24 --lr 0.015 $steps ;;
            mnist-base) set -- --epochs 24 --lr 0.004 $steps ;;
            mnist-best) set -- --epochs 50 --lr 0.01 --shift 0.06 $steps ;;
            one-label) set -- --epochs 100 --labels-per-class 1 ;;
        esac
        if [ "$network" = one-label ]; then
            for pick in random representative; do
                imgcli train --arch mnist-base --seed $seed $turned "$@" --pick $pick
                imgcli evaluate
            done
        else
            imgcli train --arch "$network" --seed $seed $turned "$@"
            imgcli evaluate
        fi
    done
done
