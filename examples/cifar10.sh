#!/usr/bin/env bash
# Two networks for the 32 × 32 pictures of CIFAR-10, 10,000 of them held out; nothing is chosen by
# those.
#
#   examples/cifar10.sh cifar10-train.zip [NETWORK...]
#
# The zip holds the 50,000 training pictures in ten class folders. A network at a time keeps it under
# half an hour on two cores.
set -euo pipefail

pictures=$1
shift
[ $# -gt 0 ] || set -- cifar-fast cifar-cnn

[ -d raw ] || imgcli import "$pictures" --out raw
[ -d dataset ] || imgcli split raw/ --ratio 0.8

for network; do
    case $network in
        cifar-fast) set -- ;; # has a recipe of its own
        *) set -- --batchnorm --augment small --optimizer nmuon --momentum 0.6 --weight-decay 1.5 \
            --batch-size 250 --schedule one-cycle --label-smoothing 0.1 --epochs 6 --val-share 0 \
            --test-flip ;;
    esac
    imgcli train --arch "$network" "$@"
    imgcli evaluate
done
