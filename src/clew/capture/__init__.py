"""Capture: a function or a whole training step, recorded below autograd, as a flat program of array operations.

traced.py     arrays that stand in for the real ones while a function runs, and note what is done with them
recorder.py   the recording: lifts tensors, catches random draws and optimizers, settles everything afterwards
program.py    what was recorded: steps, what goes in, what comes out; dead steps removed
source.py     the program as Python that a reader can follow, and as a function
guards.py     what must still hold for a recording to be used again
finished.py   a recording that has ended, and its steps run once more
runnable.py   the program as a Python function
graphed.py    functions that return a graph: forward and backward as two programs
fused.py      a program as one compiled kernel (lower, loops, nests, rules, updates, native, mathematics); trial.py: tried first
compiled.py   `torch.compile`: record, check against the real run, run, or say why not
"""
