"""imgcli beside its peers, on the same work in the same run.

    python -m tests.benchmarks.pixels --quick     one script, small: does it run, and roughly what
    python -m tests.benchmarks                    all that README shows, about twelve minutes
    python -m tests.benchmarks --write --readme   the same, into RESULTS.md and README

One script per question, each printing a Markdown table: what both did, the figures of either with
spread, processor seconds, the ratio and the goal. The peers come with the `bench` extra. On a busy
machine nothing is measured, unless with `--busy`, and then it is marked. The tests here are of what
measures; how fast anything is decides none of them.
"""
