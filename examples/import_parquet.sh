#!/usr/bin/env bash
# From Parquet files as Hugging Face's datasets have them to a split that can be trained on.
#
#   examples/import_parquet.sh train-00000-of-00002.parquet train-00001-of-00002.parquet
#
# The photos come out byte for byte, in class folders named by the schema. Needs the extra:
# pip install 'imgcli[parquet]'
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: $0 FILE.parquet..." >&2; exit 2; }

imgcli import "$@" --out raw
imgcli split raw/ --ratio 0.9
