#!/usr/bin/env bash
# A small dataset of owls from Wikimedia Commons: openly licensed photos of four species, looked
# over, with the page that credits those who made them.
#
#   examples/collect_wikimedia.sh me@example.org [PHOTOS-PER-CLASS]
#
# The address goes to Wikimedia with each request, as its rules ask of programs. One photo a second
# comes in; stopped at any point, the same command goes on from there, and a larger number only
# adds. "Category:NAME" lists a category; anything else is searched for.
set -euo pipefail

contact=$1
photos=${2:-100}

imgcli scrape wikimedia --per-class "$photos" --contact "$contact" --out raw \
    "barn owl=Category:Tyto alba" \
    "tawny owl=Category:Strix aluco" \
    "snowy owl=Category:Bubo scandiacus" \
    "little owl=Athene noctua bird"

imgcli check raw/
imgcli credits raw/
imgcli split raw/ --ratio 0.9
