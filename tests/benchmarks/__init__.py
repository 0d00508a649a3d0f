"""imgcli beside its peers, on the same work in the same run.

    python -m tests.benchmarks.pixels --quick     one script, small: does it run, and roughly what
    python -m tests.benchmarks                    all of them, into RESULTS.md

One script per question, each printing a Markdown table: what both did, the figures of either with
spread, the ratio and the goal. The peers come with the `bench` extra. Nothing here is a test: a
busy machine may be slow.
"""
