"""`batchrun completion`: what a shell evaluates so that it completes commands, runs and choices."""

from __future__ import annotations

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.errors import Exit

HOW = {
    "bash": 'put into ~/.bashrc:  eval "$(batchrun completion bash)"',
    "zsh": 'put into ~/.zshrc, behind compinit:  eval "$(batchrun completion zsh)"',
    "fish": "batchrun completion fish > ~/.config/fish/completions/batchrun.fish",
}


@options.command('eval "$(batchrun completion bash)"', "batchrun completion fish > FILE")
@click.argument("shell", required=False, metavar="[bash|zsh|fish]")
def completion(call: Call, shell: str | None) -> Exit:
    """Write the completion script of a shell: bash, zsh or fish; without SHELL that of yours.

    Commands, flags, choices, runs, job ids, states and classes of error complete; the queue is only read.
    """
    from batchrun.cli import completing

    chosen = completing.shell_of(shell)
    call.screen.write(completing.script(click.get_current_context().find_root().command, chosen))
    if call.screen.tty:
        call.screen.say(f"To have it in each shell: {HOW[chosen]}")
    return Exit.OK
