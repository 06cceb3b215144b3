"""Commands that messages show, as they can be copied into a shell."""

import shlex


def voxseed_command(*words: object) -> str:
    """`voxseed` and its arguments; paths with spaces and the like are quoted."""
    return shlex.join(["voxseed", *map(str, words)])
