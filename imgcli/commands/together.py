"""The processes that torchrun has started, in a script of one's own."""

from contextlib import AbstractContextManager, nullcontext

from imgcli.compute.launch import processes


def together() -> AbstractContextManager[None]:
    """Share the work of the calls inside among the processes that torchrun has started.

        with imgcli.together():                     # torchrun --nproc-per-node 4 script.py
            result = imgcli.train("resnet50")
            print(result)

    Process 0 alone runs what is inside, and what follows it. The others help, and end with the
    block, their exit code that of process 0; what precedes it runs in every process. Without
    torchrun it changes nothing.

    Raises:
        ImgcliError: the processes do not meet in time.
    """
    if processes() == 1:
        return nullcontext()
    from imgcli.compute import leading

    return leading.together()
