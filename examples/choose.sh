#!/usr/bin/env bash
# Which pretrained network suits some photos best, by `imgcli choose`; and, to see whether it was
# right, ten folds of every candidate on all training photos.
#
#   examples/choose.sh caltech30.zip tf_efficientnet_lite0,tf_efficientnet_lite2,mobilenetv2_100
set -euo pipefail

photos=$1
archs=${2:-bundled}

[ -d raw ] || imgcli import "$photos" --out raw
[ -d dataset ] || imgcli split raw/ --ratio 0.9

imgcli choose --archs "$archs"

[ "$archs" != bundled ] || archs=tf_efficientnet_lite0,tf_efficientnet_lite2
for arch in ${archs//,/ }; do
    imgcli train --arch "$arch" --freeze --quiet > train.txt
    echo "$arch $(imgcli evaluate --folds 10 --quiet | head -n 1)"
done
rm train.txt
