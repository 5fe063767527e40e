"""Work on what authors write, in a process that can be killed.

`process` runs in the operator, `child` and `limits` in the child; they share `frames` and a page of memory
that says whom the child is busy with. The child has an empty environment, no file to write, no child of its
own, and bounded memory and processor time. What it works on is its module's to know.
"""
