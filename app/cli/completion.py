"""`bai-tui completion`: scripts that let bash, zsh and fish complete command lines, and the answers to them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, split_arg_string

from ..config import Paths, private_folder
from ..model.errors import ConfigError
from . import exit_codes
from .lazy import CONTEXT
from .talk import emit, say

PROGRAM: Final = "bai-tui"
VARIABLE: Final = "_BAI_TUI_COMPLETE"
"""click looks at it: a shell wants to know how a command line goes on."""
_BLANKS: Final = re.compile(r"\s+")

_BASH: Final = """\
# Completion of bai-tui for bash: `bai-tui completion bash --install`, or eval this.
_bai_tui_completion() {
    local IFS=$'\\n' rest=${COMP_LINE:0:COMP_POINT} words=() trimmed index kind value prefix current
    # readline breaks words at : and =, which are part of images and options: what stands together is put together
    for ((index = 0; index <= COMP_CWORD; index++)); do
        trimmed=${rest#"${rest%%[![:space:]]*}"}
        local piece=${COMP_WORDS[index]}
        ((index == COMP_CWORD)) && piece=$trimmed
        if ((index > 0)) && [[ $trimmed == "$rest" ]]; then
            words[${#words[@]} - 1]+=$piece
        else
            words+=("$piece")
        fi
        rest=${trimmed#"$piece"}
    done
    current=${words[${#words[@]} - 1]}
    prefix=
    [[ $current == *[:=]* ]] && prefix=${current%"${current##*[:=]}"}
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
        plain) COMPREPLY+=("${value#"$prefix"}") ;;
        file) compopt -o default 2>/dev/null ;;
        dir) compopt -o dirnames 2>/dev/null ;;
        esac
    done < <(COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F _bai_tui_completion %(prog_name)s 2>/dev/null || complete -F _bai_tui_completion %(prog_name)s
"""
_ZSH: Final = """\
#compdef %(prog_name)s
# Completion of bai-tui for zsh: `bai-tui completion zsh --install`, or eval this.
_bai_tui_completion() {
    local -a response plain described
    local kind value help
    response=("${(@f)$(COMP_WORDS="${(pj:\\n:)words}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete ${words[1]} 2>/dev/null)}")
    for kind value help in $response; do
        case $kind in
        (plain) if [[ $help == _ ]]; then plain+=("$value"); else described+=("${value//:/\\\\:}:$help"); fi ;;
        (dir) _path_files -/ ;;
        (file) _path_files -f ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -V unsorted -a plain
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _bai_tui_completion "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
    compdef _bai_tui_completion %(prog_name)s
fi
"""
_FISH: Final = """\
# Completion of bai-tui for fish: `bai-tui completion fish --install`, or source this.
function _bai_tui_completion
    set -l words (commandline -opc) (commandline -ct)
    for line in (%(complete_var)s=fish_complete COMP_WORDS=(string join \\n -- $words | string collect) \\
            COMP_CWORD=(math (count $words) - 1) $words[1] 2>/dev/null)
        set -l parts (string split -m 1 , -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo $parts[2]
        end
    end
end
complete --no-files --keep-order --command %(prog_name)s --arguments '(_bai_tui_completion)'
"""


class _Complete(ShellComplete):
    """Reads the words of a command line, one a line, of which COMP_CWORD is the one that is completed."""

    def source(self) -> str:
        return self.source_template.replace("%(complete_var)s", VARIABLE).replace("%(prog_name)s", PROGRAM)

    def get_completion_args(self) -> tuple[list[str], str]:
        words = os.environ["COMP_WORDS"].split("\n")
        index = int(os.environ["COMP_CWORD"])
        return [_plain(word) for word in words[1:index]], _plain(words[index]) if index < len(words) else ""


def _plain(word: str) -> str:
    """Returns a word without the quotes and backslashes that a shell would take away."""
    found = split_arg_string(word)
    return found[0] if len(found) == 1 else word


class _Bash(_Complete):
    name = "bash"
    source_template = _BASH

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type},{item.value}"


class _Zsh(_Complete):
    name = "zsh"
    source_template = _ZSH

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type}\n{item.value}\n{_blank(item.help) or '_'}"


class _Fish(_Complete):
    name = "fish"
    source_template = _FISH

    def format_completion(self, item: CompletionItem) -> str:
        told = f"\t{_blank(item.help)}" if item.help else ""
        return f"{item.type},{item.value}{told}"


def _blank(text: str | None) -> str:
    return _BLANKS.sub(" ", text or "").strip()


_SHELLS: Final[dict[str, type[_Complete]]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def register() -> None:
    """Lets click answer in our words."""
    for shell in _SHELLS.values():
        add_completion_class(shell)


@click.command("completion", context_settings=CONTEXT)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.option("--install", is_flag=True, help="Put it where the shell reads it when it starts.")
@click.pass_context
def completion(ctx: click.Context, shell: str, install: bool) -> int:
    """Print the script that lets a shell complete commands, options, sessions, images, contexts and settings.

    --install keeps it in a file; for bash and zsh one line in ~/.bashrc or ~/.zshrc reads it, and is written once.
    """
    root = ctx.find_root().command
    text = _SHELLS[shell](root, {}, PROGRAM, VARIABLE).source()
    if not install:
        emit(text)
        return exit_codes.OK
    from ..settings.writing import write_private

    file = _place(shell)
    write_private(file, text)
    emit(f"{file}\n")
    if shell != "fish":
        _mention(_start_file(shell), file)
    say(f"the next {shell} completes {PROGRAM}")
    return exit_codes.OK


def _place(shell: str) -> Path:
    """Returns the file for the script; its folder is there then."""
    if shell != "fish":
        return private_folder(Paths.of_user().data) / f"completion.{shell}"
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "fish" / "completions"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"the folder {folder} cannot be made: {exc.strerror}") from None
    return folder / f"{PROGRAM}.fish"


def _start_file(shell: str) -> Path:
    return Path(os.environ.get("ZDOTDIR") or Path.home()) / ".zshrc" if shell == "zsh" else Path.home() / ".bashrc"


def _mention(start: Path, file: Path) -> None:
    """Lets `start` read `file`, if it does not yet."""
    from shlex import quote

    line = f"[ -r {quote(str(file))} ] && . {quote(str(file))}"
    try:
        before = start.read_text() if start.exists() else ""
        if line in before.splitlines():
            return
        with start.open("a") as opened:
            opened.write(f"{'' if not before or before.endswith(chr(10)) else chr(10)}{line}\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{start} cannot be changed ({exc}): write into it {line}") from None
    say(f"{start} reads it from now on")
