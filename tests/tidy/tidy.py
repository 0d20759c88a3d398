#!/usr/bin/env python3
"""The structure check: what the compiler does not see of the house rules.

    tests/tidy/tidy.py                  all rules over the whole tree
    tests/tidy/tidy.py --skip headers   without compiling each header alone
    tests/tidy/tidy.py --only headers   nothing but that
    tests/tidy/tidy.py --root DIR       over another tree

Prints `path:line: rule: what is wrong`, exits 1 if anything is. To change a rule, change its table
below, with the reason beside it.
"""

import argparse
import ast
import concurrent.futures
import fnmatch
import os
import re
import subprocess
import sys
from typing import NamedTuple

import cpp_functions

COLUMNS_MAX = 100
FILE_LINES_MAX = 600
FILE_LINES_WARNED = 500
FUNCTION_LINES_MAX = 70
HEADER_JOBS = 2
HEADER_SECONDS_MAX = 60

# Who may include whom. A folder may always include itself.
LAYERS = {
    "src/base": [],
    "src/net": ["src/base"],
    "src/http": ["src/base"],
    "src/upstream": ["src/base", "src/net", "src/http"],
    "src/proxy": ["src/base", "src/net", "src/http", "src/upstream"],
    "src/admin": ["src/base", "src/net", "src/http", "src/upstream", "src/proxy"],
    "filters": ["src/base", "src/net", "src/http", "src/upstream", "src/proxy"],
    "config": ["src/base", "src/net", "src/http", "src/upstream", "src/proxy", "src/admin",
               "filters"],
    # The composition root: src/main.cc and what stands beside it.
    "src": ["src/base", "src/net", "src/http", "src/upstream", "src/proxy", "src/admin",
            "filters", "config"],
}

# One library, one file (or one small group). Tests and benches are free to use what they like.
LIBRARIES = {
    "llhttp": (r"llhttp(\.h|/)", ["src/http/h1_grammar.*"]),
    "libuv": (r"uv(\.h|/)", ["src/net/*"]),
    "nghttp2": (r"nghttp2/", ["src/http/h2_*"]),
    "OpenSSL": (r"openssl/", ["src/net/tls*"]),
    "libcrypt": (r"crypt\.h", ["filters/auth/password.*"]),
    "ISA-L": (r"isa-l(\.h|/)", ["filters/compression/gzip_isal.*"]),
    "zlib": (r"zlib\.h", ["filters/compression/gzip_zlib.*"]),
    "brotli": (r"brotli/", ["filters/compression/brotli.*"]),
    "zstd": (r"zstd\.h", ["filters/compression/zstd.*"]),
    "hiredis": (r"hiredis/", ["src/net/redis_reply.*"]),
    "c-ares": (r"ares(\.h|_)", ["src/net/resolver.*"]),
    "RE2": (r"re2/", ["src/proxy/regex.*"]),
    "yaml-cpp": (r"yaml-cpp/", ["config/yaml.*"]),
    "prometheus-cpp": (r"prometheus/", ["src/admin/metrics_text.*"]),
    "CLI11": (r"CLI/", ["src/main.cc"]),
    "spdlog": (r"spdlog/", ["src/base/log.*"]),
    "nlohmann-json": (r"nlohmann/", ["src/admin/*", "filters/auth/*"]),
}
# What a library's functions, types and constants look like, of those whose headers come along with
# those of their home: there the includes alone tell nothing.
SYMBOLS = {
    "libuv": r"\buv_\w+(_t\b|\s*\()|\bUV_[A-Z]",
    "llhttp": r"\bllhttp_\w+",
    "nghttp2": r"\bnghttp2_\w+",
    "OpenSSL": r"\b(SSL|X509|EVP|BIO|ERR)_\w+\s*\(|\bOPENSSL_\w+",
    "c-ares": r"\bares_\w+",
    "hiredis": r"\bredisReader\w+\s*\(|\bREDIS_[A-Z]",
    "RE2": r"\bre2::",
    "yaml-cpp": r"\bYAML::",
}
LIBRARY_TREES = ("src/", "config/", "filters/")

CPP_SUFFIXES = (".cc", ".h")
# Suffixes that the tree does not use: a second spelling would escape the other rules.
FOREIGN_SUFFIXES = (".cpp", ".cxx", ".hpp", ".hh", ".c")
CODE_SUFFIXES = CPP_SUFFIXES + (".py", ".js", ".sh", ".cmake", ".lua")
CODE_NAMES = ("CMakeLists.txt",)
SKIPPED_FOLDERS = {".git", ".cache", "build", "__pycache__", "node_modules", "corpus"}
SKIPPED_PATTERNS = ("build-*", "cmake-build-*")


class Offence(NamedTuple):
    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


class Tree:
    """The files of a checkout, read once. Paths are relative to its root, with `/`."""

    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.texts = {}
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(f for f in folders if not _is_skipped_folder(f))
            for name in sorted(names):
                self._read(os.path.join(folder, name))

    def _read(self, full_path):
        path = os.path.relpath(full_path, self.root)
        name = os.path.basename(path)
        is_named = path.endswith(CODE_SUFFIXES + FOREIGN_SUFFIXES) or name in CODE_NAMES
        if not is_named and "." in name:
            return
        with open(full_path, "rb") as file:
            content = file.read()
        if is_named or content.startswith(b"#!"):
            self.texts[path] = content.decode("utf-8", errors="replace")

    def files(self, suffixes=None, under=""):
        for path, text in self.texts.items():
            if path.startswith(under) and (suffixes is None or path.endswith(suffixes)):
                yield path, text


def _is_skipped_folder(name):
    return name in SKIPPED_FOLDERS or any(fnmatch.fnmatch(name, p) for p in SKIPPED_PATTERNS)


def _lines(text):
    return enumerate(text.split("\n"), start=1)


# ---- layout of the text ----


def check_text(tree):
    """Line length, trailing blanks, tabs in C++, and the end of the file."""
    for path, text in tree.files():
        for number, line in _lines(text):
            if len(line) > COLUMNS_MAX:
                yield Offence(path, number, "columns", f"{len(line)} columns, {COLUMNS_MAX} fit")
            if line != line.rstrip():
                yield Offence(path, number, "blanks", "blanks at the end of the line")
            if "\t" in line and path.endswith(CPP_SUFFIXES):
                yield Offence(path, number, "blanks", "a tab")
        if text and not text.endswith("\n"):
            yield Offence(path, text.count("\n") + 1, "blanks", "no newline at the end of the file")


_PROMISE = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b(?!\(#\d+\))")


def check_promises(tree):
    """What is left to do is an issue, and its number stands beside the word."""
    for path, text in tree.files():
        for number, line in _lines(text):
            match = _PROMISE.search(line)
            if match:
                yield Offence(path, number, "promise", f"{match.group(1)} without (#issue)")


# ---- sizes ----


def check_sizes(tree):
    for path, text in tree.files():
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            yield Offence(path, 1, "size", f"{lines} lines, {FILE_LINES_MAX} at most")
        for function in _functions(path, text):
            if function.lines > FUNCTION_LINES_MAX:
                what = f"{function.name} has {function.lines} lines, {FUNCTION_LINES_MAX} at most"
                yield Offence(path, function.first_line, "size", what)


def _functions(path, text):
    if path.endswith(CPP_SUFFIXES):
        return cpp_functions.functions(text)
    if path.endswith(".py"):
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        return [
            cpp_functions.Function(node.name, node.lineno, node.end_lineno)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, kinds)
        ]
    return []


def warnings(tree):
    for path, text in tree.files():
        lines = text.count("\n")
        if FILE_LINES_WARNED < lines <= FILE_LINES_MAX:
            yield Offence(path, 1, "warning", f"{lines} lines; think of splitting it")


# ---- includes ----


_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def _includes(text):
    for match in _INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(2)


def _resolve(tree, path, included):
    """The file of the tree that an include names, or None where it is a library's."""
    folder = os.path.dirname(path)
    for base in (folder, "src", "", "tests", "bench"):
        candidate = os.path.normpath(os.path.join(base, included))
        if candidate in tree.texts:
            return candidate
    return None


def _layer(path):
    """The entry of LAYERS that a file belongs to: the longest that it lies under, or None."""
    folder = os.path.dirname(path)
    if folder == "src":
        return folder
    while folder not in ("", "src"):
        if folder in LAYERS:
            return folder
        folder = os.path.dirname(folder)
    return None


def check_direction(tree):
    for path, text in tree.files(CPP_SUFFIXES):
        layer = _layer(path)
        if layer is None:
            if path.startswith(LIBRARY_TREES):
                yield Offence(path, 1, "direction", "a folder that LAYERS does not know")
            continue
        for number, included in _includes(text):
            target = _resolve(tree, path, included)
            if target is None:
                continue
            other = _layer(target)
            if other != layer and other not in LAYERS[layer]:
                what = f"{layer} may not include {other or os.path.dirname(target)} ({included})"
                yield Offence(path, number, "direction", what)


def check_libraries(tree):
    for path, text in tree.files(CPP_SUFFIXES):
        if not path.startswith(LIBRARY_TREES):
            continue
        for number, included in _includes(text):
            for library, (pattern, homes) in LIBRARIES.items():
                if re.match(pattern, included) is None or _resolve(tree, path, included):
                    continue
                if not _is_home(path, homes):
                    what = f"{library} is known to {', '.join(homes)} only"
                    yield Offence(path, number, "library", what)
        for library, pattern in SYMBOLS.items():
            homes = LIBRARIES[library][1]
            if _is_home(path, homes):
                continue
            for number, line in _lines(text):
                if re.search(pattern, line.partition("//")[0]):
                    what = f"{library} is called from {', '.join(homes)} only"
                    yield Offence(path, number, "library", what)


def _is_home(path, homes):
    return any(fnmatch.fnmatch(path, home) for home in homes)


# ---- files ----


_SNAKE_CASE = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*\.(cc|h)$")


def check_names(tree):
    for path, _ in tree.files(FOREIGN_SUFFIXES):
        yield Offence(path, 1, "name", "C++ files end in .cc and .h")
    for path, _ in tree.files(CPP_SUFFIXES):
        if not _SNAKE_CASE.match(os.path.basename(path)):
            yield Offence(path, 1, "name", "file names are snake_case")


def check_dead_files(tree):
    """Every .cc is named or globbed by a CMake file, every header included by somebody."""
    patterns = [p for path, text in tree.files() if _is_cmake(path) for p in _sources(path, text)]
    included = set()
    for path, text in tree.files(CPP_SUFFIXES):
        included.update(_resolve(tree, path, name) for _, name in _includes(text))
    for path, _ in tree.files((".cc",)):
        if not any(pattern.fullmatch(path) for pattern in patterns):
            yield Offence(path, 1, "dead", "no CMake file builds it")
    for path, _ in tree.files((".h",)):
        if path not in included:
            yield Offence(path, 1, "dead", "nobody includes it")


def _is_cmake(path):
    return path.endswith(".cmake") or os.path.basename(path) == "CMakeLists.txt"


_SOURCE = re.compile(r'[^\s()";]+\.cc\b')
_ROOT_VARIABLE = re.compile(r"\$\{(PROJECT_SOURCE_DIR|CMAKE_SOURCE_DIR|weir_SOURCE_DIR)\}/")
_HERE_VARIABLE = re.compile(r"\$\{(CMAKE_CURRENT_SOURCE_DIR|CMAKE_CURRENT_LIST_DIR)\}/")


def _sources(path, text):
    """What a CMake file builds, as patterns over paths; a variable stands for anything."""
    text = re.sub(r"#[^\n]*", "", text)
    star = ".*" if "GLOB_RECURSE" in text else "[^/]*"
    here = os.path.dirname(path)
    for word in _SOURCE.findall(text):
        base = "" if _ROOT_VARIABLE.match(word) else here
        word = _HERE_VARIABLE.sub("", _ROOT_VARIABLE.sub("", word))
        word = os.path.normpath(os.path.join(base, re.sub(r"\$\{[^}]*\}", "*", word)))
        yield re.compile(re.escape(word).replace(r"\*", star))


# ---- headers ----


def check_headers(tree):
    """`#pragma once`, and each header compiles with nothing before it.

    What a source of weir includes first is shown by the release build, which precompiles nothing.
    """
    headers = [path for path, _ in tree.files((".h",))]
    for path in headers:
        if not re.search(r"^#pragma once$", tree.texts[path], re.MULTILINE):
            yield Offence(path, 1, "headers", "no #pragma once")
    built_first = {_first_include(text) for path, text in tree.files((".cc",))
                   if path.startswith(("src/", "config/", "filters/"))}
    headers = [path for path in headers if path.removeprefix("src/") not in built_first]
    with concurrent.futures.ThreadPoolExecutor(HEADER_JOBS) as pool:
        for path, error in zip(headers, pool.map(lambda p: _compile_alone(tree, p), headers)):
            if error:
                yield Offence(path, 1, "headers", f"does not compile alone: {error}")


def _first_include(text):
    """The header as it is named there, or None."""
    found = re.search(r'^#include (?:"([^"]+)"|<)', text, re.MULTILINE)
    return found and found.group(1)


def _compile_alone(tree, path):
    """The first error, or None."""
    command = [os.environ.get("CXX", "g++"), "-std=c++20", "-fsyntax-only", "-x", "c++"]
    command += ["-DSPDLOG_FMT_EXTERNAL", "-I/usr/share/include/llhttp"]
    command += [f"-I{os.path.join(tree.root, d)}" for d in ("src", ".", "tests", "bench")]
    command += ["-include", os.path.join(tree.root, path), os.devnull]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False,
                                timeout=HEADER_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return f"the compiler took longer than {HEADER_SECONDS_MAX} s"
    if result.returncode == 0:
        return None
    errors = [line for line in result.stderr.split("\n") if "error:" in line]
    return (errors or [result.stderr.strip()])[0]


RULES = {
    "text": check_text,
    "promises": check_promises,
    "sizes": check_sizes,
    "direction": check_direction,
    "libraries": check_libraries,
    "names": check_names,
    "dead": check_dead_files,
    "headers": check_headers,
}


def offences(tree, skipped=()):
    return [o for name, rule in RULES.items() if name not in skipped for o in rule(tree)]


def main():
    parser = argparse.ArgumentParser(description="weir's structure check")
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--root", default=os.path.join(here, "..", ".."))
    parser.add_argument("--skip", action="append", default=[], choices=sorted(RULES))
    parser.add_argument("--only", action="append", default=[], choices=sorted(RULES))
    options = parser.parse_args()
    skipped = options.skip + [rule for rule in RULES if options.only and rule not in options.only]
    tree = Tree(options.root)
    for warning in warnings(tree):
        print(warning)
    found = offences(tree, skipped)
    for offence in found:
        print(offence)
    print(f"tidy: {len(tree.texts)} files, {len(found)} offences")
    return 1 if found or not tree.texts else 0


if __name__ == "__main__":
    sys.exit(main())
