"""Splits a shell line into the simple commands it runs, and says when it hides some. It reads; it never runs anything.

Only what decides about permissions is understood: quoting, operators, redirections, here-documents and expansions, after the
Shell Command Language (POSIX.1-2017, XCU 2) and bash's additions. Whatever is not plain is called hidden.
"""

from __future__ import annotations

import re

from msgspec import Struct

_BLANKS = " \t"
_SEPARATORS = ("&&", "||", ";;&", ";;", ";&", "|&", ";", "|", "\n")
_REDIRECTION = r"(\d*|&)(<<<|<<-|<<|<>|<&|>&|>>|>\||<|>)"
_VARIABLE = r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]|\{[A-Za-z_][A-Za-z0-9_]*\})"
_SINKS = ("/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty")


class Word(Struct):
    """A word with its quotes removed. ``bare``: no part of it was quoted. ``expands``: the shell will replace parts of it."""

    text: str
    bare: bool = True
    expands: bool = False
    globs: bool = False


class SimpleCommand(Struct):
    """The words of one command. ``writes``: its output goes to a file."""

    words: list[Word] = []
    writes: bool = False


class Syntax(Struct):
    """``hidden``: it does, or may do, more than ``commands`` shows. ``obscure``: it may run commands that are not among them (a
    redirection hides what is written, but runs nothing). ``background``: it leaves something running by ``&``."""

    commands: list[SimpleCommand]
    hidden: bool
    obscure: bool
    background: bool


class _Document(Struct):
    """A here-document that is still to come. ``tabs``: leading ones do not count. ``expands``: its delimiter was not quoted."""

    delimiter: str
    tabs: bool
    expands: bool


def parse(line: str) -> Syntax:
    """The commands of a line of shell."""
    return _Scanner(line).scan()


class _Scanner:
    def __init__(self, line: str) -> None:
        self._line = line
        self._at = 0
        self._commands: list[SimpleCommand] = []
        self._current = SimpleCommand()
        self._word: Word | None = None
        self._hidden = False
        self._obscure = False
        self._background = False
        self._documents: list[_Document] = []

    def scan(self) -> Syntax:
        while self._at < len(self._line):
            self._step()
        self._end_command()
        return Syntax(self._commands, self._hidden or self._obscure, self._obscure, self._background)

    def _step(self) -> None:
        char = self._line[self._at]
        if char in _BLANKS:
            self._end_word()
            self._at += 1
        elif char == "#" and self._word is None:
            end = self._line.find("\n", self._at)
            self._at = len(self._line) if end < 0 else end
        elif char in "'\"\\":
            self._quoted(char)
        elif self._redirection() or self._operator():
            return
        elif char in "$`":
            self._expansion()
        else:
            self._plain(char)

    def _open_word(self) -> Word:
        if self._word is None:
            self._word = Word("")
        return self._word

    def _plain(self, char: str) -> None:
        word = self._open_word()
        word.text += char
        word.globs = word.globs or char in "*?["
        word.expands = word.expands or char == "{"
        self._at += 1

    # ── quotes and expansions ────────────────────────────────────────────────────────────────────────────────────

    def _quoted(self, quote: str) -> None:
        line = self._line
        if quote == "\\":
            escaped = line[self._at + 1 : self._at + 2]
            if escaped != "\n":
                word = self._open_word()
                word.text += escaped
                word.bare = False
            self._at += 2
            return
        word = self._open_word()
        word.bare = False
        if quote == "'":
            end = line.find("'", self._at + 1)
            self._obscure = self._obscure or end < 0
            end = len(line) if end < 0 else end
            word.text += line[self._at + 1 : end]
            self._at = end + 1
            return
        self._at += 1
        while self._at < len(line) and line[self._at] != '"':
            self._inside_double_quotes(word)
        self._obscure = self._obscure or self._at >= len(line)
        self._at += 1

    def _inside_double_quotes(self, word: Word) -> None:
        char = self._line[self._at]
        if char == "\\" and self._line[self._at + 1 : self._at + 2] in ('"', "\\", "$", "`", "\n"):
            word.text += self._line[self._at + 1].replace("\n", "")
            self._at += 2
        elif char in "$`":
            self._expansion()
        else:
            word.text += char
            self._at += 1

    def _expansion(self) -> None:
        """A plain ``$NAME`` keeps the line readable; every other expansion may run something."""
        word = self._open_word()
        if match := re.compile(_VARIABLE).match(self._line, self._at):
            word.text += match.group()
            word.expands = True
            self._at = match.end()
            return
        if self._line[self._at] == "`" or self._line[self._at + 1 : self._at + 2] in ("(", "{", "[", "'", '"'):
            self._obscure = True
            word.expands = True
        word.text += self._line[self._at]
        self._at += 1

    # ── operators ────────────────────────────────────────────────────────────────────────────────────────────────

    def _redirection(self) -> bool:
        match = re.compile(_REDIRECTION).match(self._line, self._at)
        if match is None or (match.group(1) and self._word is not None):
            return False
        operator = match.group(2)
        if self._line[match.end() : match.end() + 1] == "(" and operator in ("<", ">"):
            self._obscure = True  # process substitution
        self._end_word()
        self._at = match.end()
        word = self._target()
        target = word.text
        if operator in ("<<", "<<-"):
            self._hidden = True
            self._documents.append(_Document(target, operator == "<<-", word.bare))
        elif ">" in operator and not (target in _SINKS or (operator == ">&" and (target.isdigit() or target == "-"))):
            self._current.writes = True
            self._hidden = True
        return True

    def _target(self) -> Word:
        while self._at < len(self._line) and self._line[self._at] in _BLANKS:
            self._at += 1
        while self._at < len(self._line) and self._line[self._at] not in " \t\n;|&<>()":
            char = self._line[self._at]
            if char in "'\"\\":
                self._quoted(char)
            elif char in "$`":
                self._expansion()
            else:
                self._plain(char)
        target, self._word = self._word, None
        return target if target is not None else Word("")

    def _operator(self) -> bool:
        char = self._line[self._at]
        if char in "()":
            self._hidden = True
            self._end_command()
            self._at += 1
            return True
        if operator := next((op for op in _SEPARATORS if self._line.startswith(op, self._at)), ""):
            self._end_command()
            self._at += len(operator)
            if operator == "\n":
                self._skip_documents()
            return True
        if char == "&":
            self._background = True
            self._end_command()
            self._at += 1
            return True
        return False

    def _skip_documents(self) -> None:
        for document in self._documents:
            while self._at < len(self._line):
                end = self._line.find("\n", self._at)
                end = len(self._line) if end < 0 else end
                text = self._line[self._at : end]
                self._at = end + 1
                if (text.lstrip("\t") if document.tabs else text) == document.delimiter:
                    break
                self._obscure = self._obscure or (document.expands and re.search(r"`|\$[({[]", text) is not None)
        self._documents.clear()

    def _end_word(self) -> None:
        if self._word is not None:
            self._current.words.append(self._word)
            self._word = None

    def _end_command(self) -> None:
        self._end_word()
        if self._current.words or self._current.writes:
            self._commands.append(self._current)
        self._current = SimpleCommand()
