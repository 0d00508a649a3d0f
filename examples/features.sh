#!/usr/bin/env bash
# Which features of the installed networks a new head does best on: of one network or of two, of
# mirror images too, and their square roots. Those of two are what `imgcli train --freeze` takes.
#
#   examples/features.sh caltech30.zip
set -euo pipefail

photos=$1
one=tf_efficientnet_lite2
two=$one+tf_efficientnet_lite0

[ -d raw ] || imgcli import "$photos" --out raw
[ -d dataset ] || imgcli split raw/ --ratio 0.9

for features in "$one" "$one --mirror" "$two" "$two --mirror" \
    "$two --mirror --feature-power 0.5"; do
    imgcli train --freeze --arch $features --quiet > train.txt
    echo "$features"
    imgcli evaluate --folds 10 --quiet > folds.txt
    grep -E "^Accuracy .*n =|macro precision .*–.*–|log loss" folds.txt
done
rm train.txt folds.txt
imgcli compare runs/2*
