"""A fuzzer that looks for what costs much, not only for what breaks.

Our own, for those at hand (atheris on libFuzzer, HypoFuzz) are guided by coverage: a message that
takes a hundred times its bytes reaches no line that a good one does not. Here an input is kept when
it takes more time or memory than others of its size did, or ends as none before it did.
"""
