#!/usr/bin/env bash
# A study of small AlexNets on 30 classes of Caltech-101, 5 folds each: depth and width, dropout,
# batch norm, the optimizer, and a frozen pretrained network beside them; all drawn by `compare`.
#
#   examples/alexnets.sh caltech30.zip mobilenetv2_100.safetensors
set -euo pipefail

photos=$1
weights=${2:+--weights $2}

[ -d raw ] || imgcli import "$photos" --out raw
[ -d dataset ] || imgcli split raw/ --ratio 0.9

study() {
    imgcli train --image-size 67 --epochs 6 --quiet "$@"
    imgcli evaluate --folds 5 --quiet
}

study --arch alexnet
study --arch flat-alexnet
study --arch narrow-alexnet
study --arch narrow-alexnet --dropout 0
study --arch narrow-alexnet --dropout 0.25
study --arch narrow-alexnet --batchnorm
study --arch narrow-alexnet --optimizer sgd
study --arch narrow-alexnet --optimizer adam
study --arch narrow-alexnet --batchnorm --optimizer sgd
study --arch narrow-alexnet --batchnorm --optimizer adam

imgcli train --arch mobilenetv2_100 --freeze $weights --model-arg pad_type=same --quiet
imgcli evaluate --folds 5 --quiet

imgcli compare runs/2*/
