#!/usr/bin/env bash
# What a few labels are worth: 1, 2, 5, 10 and 20 photos per class, drawn at random (three seeds) or
# picked as representative of their class, with a frozen pretrained network; scored on the test part,
# by which nothing is chosen.
#
#   examples/few-labels.sh caltech30.zip mobilenetv2_100.safetensors
set -euo pipefail

photos=$1
weights=${2:+--weights $2}

[ -d raw ] || imgcli import "$photos" --out raw
[ -d dataset ] || imgcli split raw/ --ratio 0.9

score() {
    imgcli train --arch mobilenetv2_100 --freeze $weights --model-arg pad_type=same --quiet "$@" \
        > train.txt
    echo "$* $(imgcli evaluate --quiet | head -n 1)"
}

for labels in 1 2 5 10 20; do
    for seed in 1 2 3; do
        score --labels-per-class $labels --seed $seed
    done
    score --labels-per-class $labels --pick representative
done
rm train.txt
