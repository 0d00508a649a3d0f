#!/usr/bin/env bash
# The worked example of the README: a frozen MobileNetV2 against an AlexNet from scratch, ten folds
# and five, on 30 classes of Caltech-101. About twenty minutes on two cores, nearly all of it AlexNet's.
#
#   examples/caltech30.sh caltech30.zip mobilenetv2_100.safetensors
#
# The zip holds one folder per class; the weights are timm's mobilenetv2_100. Where the hub can be
# reached, leave the second argument out and timm's published weights are fetched.
set -euo pipefail

photos=$1
weights=${2:+--weights $2}

imgcli import "$photos" --out raw
imgcli split raw/ --ratio 0.9

imgcli train --arch mobilenetv2_100 --freeze $weights --model-arg pad_type=same
imgcli evaluate --folds 10
imgcli suggest-merges

imgcli train --arch alexnet --image-size 96 --epochs 20
imgcli evaluate --folds 5
