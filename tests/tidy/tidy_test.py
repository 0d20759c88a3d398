#!/usr/bin/env python3
"""The structure check's own test: a clean tree passes, and each rule catches what is planted."""

import os
import tempfile
import unittest

import cpp_functions
import tidy

CLEAN = {
    "CMakeLists.txt": "add_executable(weir src/main.cc src/http/rules.cc)\n",
    "src/main.cc": '#include "http/rules.h"\n#include <CLI/CLI.hpp>\nint main() {}\n',
    "src/http/rules.h": "#pragma once\nnamespace weir { int limit(); }\n",
    "src/http/rules.cc": '#include "http/rules.h"\nint weir::limit() { return 1; }\n',
}


class TreeTest(unittest.TestCase):
    def offences(self, skipped=("headers",), files=None):
        """Of the clean tree with `files` put over it."""
        files = {**CLEAN, **(files or {})}
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                full_path = os.path.join(root, path)
                os.makedirs(os.path.dirname(full_path), exist_ok=True)
                with open(full_path, "w", encoding="utf-8") as file:
                    file.write(text)
            return tidy.offences(tidy.Tree(root), skipped)

    def assert_caught(self, rule, path, files, skipped=("headers",)):
        found = self.offences(skipped, files=files)
        self.assertEqual([(rule, path)], sorted({(o.rule, o.path) for o in found}), found)


class RulesTest(TreeTest):
    def test_a_clean_tree_passes_every_rule(self):
        self.assertEqual([], self.offences(skipped=()))

    def test_long_line(self):
        text = CLEAN["src/main.cc"]
        self.assert_caught("columns", "src/main.cc", {"src/main.cc": text + "//" + "x" * 99 + "\n"})
        self.assertEqual([], self.offences(files={"src/main.cc": text + "//" + "x" * 98 + "\n"}))

    def test_trailing_blank_tab_and_missing_newline(self):
        for tail in ("int a; \n", "\tint a;\n", "int a;"):
            with self.subTest(tail):
                text = CLEAN["src/main.cc"] + tail
                self.assert_caught("blanks", "src/main.cc", {"src/main.cc": text})

    def test_script_without_suffix_is_code(self):
        self.assert_caught("blanks", "packaging/x", {"packaging/x": "#!/bin/sh\necho \n"})
        self.assertEqual([], self.offences(files={"packaging/x": "a list \n"}))

    def test_promise_needs_an_issue(self):
        word = "TO" + "DO"
        text = CLEAN["src/main.cc"] + f"// {word}: later\n"
        self.assert_caught("promise", "src/main.cc", {"src/main.cc": text})
        text = CLEAN["src/main.cc"] + f"// {word}(#12): later\n"
        self.assertEqual([], self.offences(files={"src/main.cc": text}))

    def test_long_file(self):
        text = CLEAN["src/main.cc"] + "\n" * tidy.FILE_LINES_MAX
        self.assert_caught("size", "src/main.cc", {"src/main.cc": text})

    def test_long_function(self):
        body = "  f();\n" * (tidy.FUNCTION_LINES_MAX - 2)
        text = CLEAN["src/main.cc"] + "void f() {\n" + body
        self.assertEqual([], self.offences(files={"src/main.cc": text + "}\n"}))
        self.assert_caught("size", "src/main.cc", {"src/main.cc": text + "\n}\n"})

    def test_long_python_function(self):
        text = "def f():\n" + "    f()\n" * tidy.FUNCTION_LINES_MAX
        self.assert_caught("size", "tests/x.py", {"tests/x.py": text})

    def test_include_against_the_direction(self):
        cases = {
            "src/http/rules.cc": "net/stream.h",
            "src/net/stream.cc": "http/rules.h",
            "src/proxy/chain.cc": "filters/cors.h",
            "src/admin/status.cc": "filters/cors.h",
            "filters/cors.cc": "config/yaml.h",
            "src/proxy/router.cc": "../admin/status.h",
        }
        for path, included in cases.items():
            with self.subTest(path):
                files = {p: "#pragma once\n" for p in ("src/net/stream.h", "filters/cors.h",
                                                       "config/yaml.h", "src/admin/status.h")}
                files["CMakeLists.txt"] = f"{CLEAN['CMakeLists.txt']} {path}\n"
                includes = "".join(f'#include "{p}"\n' for p in
                                   ("net/stream.h", "filters/cors.h", "config/yaml.h",
                                    "admin/status.h"))
                files["src/main.cc"] = CLEAN["src/main.cc"] + includes
                files[path] = f'#include "{included}"\n'
                self.assert_caught("direction", path, files)

    def test_unknown_folder(self):
        files = {"src/misc/x.h": "#pragma once\n",
                 "src/main.cc": CLEAN["src/main.cc"] + '#include "misc/x.h"\n'}
        found = {(o.rule, o.path) for o in self.offences(files=files)}
        self.assertEqual({("direction", "src/misc/x.h"), ("direction", "src/main.cc")}, found)

    def test_library_outside_its_file(self):
        for included in ("llhttp.h", "uv.h", "yaml-cpp/yaml.h", "prometheus/registry.h",
                         "CLI/CLI.hpp", "spdlog/spdlog.h", "nlohmann/json.hpp"):
            with self.subTest(included):
                text = f"{CLEAN['src/http/rules.cc']}#include <{included}>\n"
                self.assert_caught("library", "src/http/rules.cc", {"src/http/rules.cc": text})

    def test_library_called_outside_its_file(self):
        for line in ("const char* n = uv_err_name(1);", "uv_timer_t timer;", "int e = UV_EOF;",
                     "llhttp_t parser;", "SSL_free (ssl);", "ares_version(nullptr);",
                     "re2::RE2* r;"):
            with self.subTest(line):
                text = f"{CLEAN['src/http/rules.cc']}{line}\n"
                self.assert_caught("library", "src/http/rules.cc", {"src/http/rules.cc": text})
        text = CLEAN["src/http/rules.cc"] + "int uv_error = 0;  // as uv_err_name() names it\n"
        self.assertEqual([], self.offences(files={"src/http/rules.cc": text}))

    def test_file_names(self):
        files = {"src/http/Rules2.h": "#pragma once\n",
                 "src/main.cc": CLEAN["src/main.cc"] + '#include "http/Rules2.h"\n'}
        self.assert_caught("name", "src/http/Rules2.h", files)
        self.assert_caught("name", "src/http/x.cpp", {"src/http/x.cpp": "int x;\n"})

    def test_dead_files(self):
        self.assert_caught("dead", "src/http/x.cc", {"src/http/x.cc": "int x;\n"})
        self.assert_caught("dead", "src/http/x.h", {"src/http/x.h": "#pragma once\n"})

    def test_cmake_spellings_that_keep_a_file_alive(self):
        for cmake in ("file(GLOB x CONFIGURE_DEPENDS *.cc)", "add_library(x x.cc)",
                      "add_library(x ${CMAKE_CURRENT_SOURCE_DIR}/x.cc)",
                      "add_library(x ${PROJECT_SOURCE_DIR}/filters/x.cc)",
                      "add_library(x ${name}.cc)"):
            with self.subTest(cmake):
                files = {"filters/x.cc": "int x;\n", "filters/CMakeLists.txt": cmake + "\n"}
                self.assertEqual([], self.offences(files=files))
        files = {"filters/auth/x.cc": "int x;\n", "filters/CMakeLists.txt": "glob(*.cc) # x.cc\n"}
        self.assert_caught("dead", "filters/auth/x.cc", files)

    def test_header_without_pragma_once(self):
        text = "namespace weir { int limit(); }\n"
        self.assert_caught("headers", "src/http/rules.h", {"src/http/rules.h": text}, skipped=())

    def test_header_that_leans_on_others(self):
        text = "#pragma once\nnamespace weir { std::string limit(); }\n"
        source = '#include <string>\n#include "http/limit.h"\n'
        files = {"src/http/limit.h": text, "src/http/rules.cc": source}
        self.assert_caught("headers", "src/http/limit.h", files, skipped=())
        # Where its source includes it first, the release build would fail.
        files["src/http/rules.cc"] = '#include "http/limit.h"\n#include <string>\n'
        self.assertEqual([], self.offences(skipped=(), files=files))


class FunctionsTest(unittest.TestCase):
    def spans(self, text):
        return [(f.name, f.first_line, f.last_line) for f in cpp_functions.functions(text)]

    def test_plain_and_member_functions(self):
        text = "namespace a {\nclass B {\n public:\n  void f() {\n  }\n};\nint\ng()\n{\n}\n}\n"
        self.assertEqual([("f", 4, 5), ("g", 7, 10)], self.spans(text))

    def test_constructor_with_braced_members(self):
        text = "B::B(int x)\n    : a_{x},\n      b_(x), c_{std::max<int>(1, x)} {\n}\nint k;\n"
        self.assertEqual([("B::B", 1, 4)], self.spans(text))

    def test_default_argument_in_braces(self):
        self.assertEqual([("f", 1, 2)], self.spans("void f(A a = {}, B b = B{1}) {\n}\n"))

    def test_templates_trailing_returns_and_operators(self):
        text = ("template <class T, class U = A<T>>\nauto f(T t) -> U {\n}\n"
                "bool operator==(const A& a, const A& b) {\n}\n"
                "struct alignas(64) S {\n  int operator()(int) const noexcept {\n  }\n};\n")
        self.assertEqual([("f", 1, 3), ("operator==", 4, 5), ("operator()", 7, 8)],
                         self.spans(text))

    def test_tables_and_types_are_no_functions(self):
        text = ("constexpr A kTable[] = {\n  {f(1)},\n};\nenum class E { kA };\n"
                "struct A final : B<int> {\n  int x = 0;\n};\nextern \"C\" {\n}\n")
        self.assertEqual([], self.spans(text))

    def test_braces_in_literals_comments_and_macros(self):
        text = ("void f() {  // {\n  a(\"{\\\"{\", '{', R\"x({)\")x\", 1'000); /* { */\n"
                "#define X {\n}\nvoid g() {}\n")
        self.assertEqual([("f", 1, 4), ("g", 5, 5)], self.spans(text))

    def test_blocks_belong_to_their_function(self):
        text = "TEST_CASE(\"a\") {\n  if (x) {\n    y([] {\n    });\n  }\n}\n"
        self.assertEqual([("TEST_CASE", 1, 6)], self.spans(text))


if __name__ == "__main__":
    unittest.main()
