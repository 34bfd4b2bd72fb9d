"""click's complaints in our words: lower case, back-ticks, one line, and what was probably meant."""

from __future__ import annotations

import re

import click

from batchrun.core.suggest import did_you_mean
from batchrun.errors import UsageError


def usage_error(error: click.UsageError) -> UsageError:
    path = error.ctx.command_path if error.ctx is not None else "batchrun"
    return UsageError(_message(error), hint=f"`{path} --help` shows how it is used")


def _message(error: click.UsageError) -> str:
    match error:
        case click.NoSuchOption():
            return f"no such option `{error.option_name}`{did_you_mean(error.option_name, _long_options(error))}"
        case click.MissingParameter() if error.param is not None and isinstance(error.param, click.Argument):
            return f"`{(error.param.metavar or error.param.human_readable_name).strip('.')}` is missing"
        case click.BadParameter() if error.param is not None:
            return f"{_named(error.param)}: {_plain(error.message)}"
        case _:
            return _plain(error.format_message())


def _long_options(error: click.UsageError) -> list[str]:
    if error.ctx is None:
        return []
    params = error.ctx.command.get_params(error.ctx)
    return [name for param in params for name in [*param.opts, *param.secondary_opts] if name.startswith("--")]


def _named(param: click.Parameter) -> str:
    if isinstance(param, click.Argument):
        return f"`{(param.metavar or param.human_readable_name).strip('[].')}`"
    return f"`{max(param.opts, key=len)}`"


def _plain(text: str) -> str:
    text = re.sub(r"'([^']*)'", r"`\1`", text.strip()).removesuffix(".")
    return text[:1].lower() + text[1:]
