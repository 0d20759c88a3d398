"""Finds the functions of a C++ file by matching braces, well enough to measure their length.

It is no parser: comments, literals and preprocessor lines are blanked, and each `{` is judged by
the text before it. What it cannot tell apart it takes for a block, which has no limit.
"""

import re
from typing import NamedTuple


class Function(NamedTuple):
    name: str
    first_line: int
    last_line: int

    @property
    def lines(self):
        return self.last_line - self.first_line + 1


_TOKENS = re.compile(
    r"""//(?:[^\n\\]|\\.|\\\n)*           # a comment to the end of the line
      | /\*.*?\*/                         # a comment
      | R"([^\s()\\]{0,16})\(.*?\)\1"     # a raw string
      | "(?:[^"\\\n]|\\.)*"               # a string
      | (?<![0-9A-Za-z_])'(?:[^'\\\n]|\\.)+'   # a character, not the ' of 1'000
    """,
    re.VERBOSE | re.DOTALL,
)
_PREPROCESSOR = re.compile(r"^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*", re.MULTILINE | re.DOTALL)
_CONTAINER = re.compile(
    r"^(?:typedef |static |inline |constexpr |export )*"
    r"(namespace|class|struct|union|extern)\b"
)
_ACCESS = ("public", "private", "protected")
_ATTRIBUTES = re.compile(r"\[\[.*?\]\]\s*|\balignas\s*\([^()]*\)\s*", re.DOTALL)
_NAME = re.compile(r"([\w:]*operator\s*\(\s*\)|[\w:]*operator\s*[^\s\w(]+|[~\w:]+)\s*\(")


def _blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def strip_code(text):
    """The text with comments, literals and preprocessor lines blanked; line numbers stay."""
    text = _TOKENS.sub(_blank_literal, text)
    return _PREPROCESSOR.sub(_blank, text)


def _blank_literal(match):
    blanked = _blank(match)
    if match.group(0)[0] == "/" or len(blanked) < 2:
        return blanked
    # The quotes stay, so that what held a literal is not empty: f("{") becomes f(" ").
    return '"' + blanked[1:-1] + '"'


def _without_template(head):
    """`template <class T> void f(` becomes `void f(`."""
    while head.startswith("template"):
        depth = 0
        for i, char in enumerate(head):
            if char == "<":
                depth += 1
            elif char == ">" and head[i - 1] != "-":
                depth -= 1
                if depth == 0:
                    head = head[i + 1 :].lstrip()
                    break
        else:
            return head
    return head


def _has_constructor_initialiser(head):
    """Whether a single `:` stands outside parentheses after the parameter list."""
    depth = 0
    closed = False
    for i, char in enumerate(head):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            closed = closed or depth == 0
        elif char == ":" and depth == 0 and closed:
            if head[i - 1 : i] != ":" and head[i + 1 : i + 2] != ":":
                return True
    return False


def _kind(head):
    """What a `{` after `head` opens: container, function, block, or member: braces that
    belong to the head itself, which goes on after them."""
    if head.count("(") > head.count(")"):
        return "member"  # a default argument: f(Options options = {})
    head = _without_template(_ATTRIBUTES.sub("", head.strip()))
    if _CONTAINER.match(head) and not head.endswith(")"):
        return "container"
    if "(" not in head or head[-1] in "=,(":
        return "block"
    if _has_constructor_initialiser(head) and (head[-1].isalnum() or head[-1] in "_>"):
        return "member"
    return "function"


def functions(text):
    """All functions of a file, those of local classes and lambdas counted with their owner."""
    text = strip_code(text)
    found = []
    stack = []  # (kind, head, first line)
    head = ""
    head_line = 0  # where `head` has its first visible character
    line = 1
    for char in text:
        if char == "\n":
            line += 1
        if char == "{":
            in_container = all(kind == "container" for kind, _, _ in stack)
            kind = _kind(head) if in_container else "block"
            stack.append((kind, head, head_line or line))
            head, head_line = "", 0
        elif char == "}":
            kind, opened_by, first = stack.pop() if stack else ("block", "", line)
            head, head_line = "", 0
            if kind == "member":
                head, head_line = opened_by + "{}", first
            elif kind == "function":
                named = _NAME.search(_without_template(opened_by.strip()))
                found.append(Function(named.group(1) if named else "?", first, line))
        elif char == ";" or (char == ":" and head.strip() in _ACCESS):
            head, head_line = "", 0
        else:
            head += char
            if not head_line and not char.isspace():
                head_line = line
    return found
