"""What LocalStack (community edition, in host mode) lacks to run the stacks of this project without Docker and without the internet.

`executor` runs the function. `services` and `cloudformation` fill gaps, one function for each, with its reason. ../../test_gaps.py fails when LocalStack
has learnt one of them: then the function goes.
"""
