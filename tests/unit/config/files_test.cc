// The action `files` as it is read: what it may say, and the exact words for what it may not.
#include <catch2/catch.hpp>

#include "proxy/files/find.h"
#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

LoadResult load(const std::string& files, const std::string& more = "") {
  test::World world;
  return world.load(
      "listeners: {http: {address: \"127.0.0.1:0\"}}\n"
      "sites:\n"
      "  - hosts: [example.com]\n"
      "    routes:\n"
      "      - path: /\n" +
      more + "        files: {" + files + "}\n");
}

Lines errors_of(const std::string& files, const std::string& more = "") {
  Lines errors = load(files, more).errors;
  const std::string place = "sites[0].routes[0]";
  for (std::string& line : errors) {
    const size_t at = line.find(place);
    if (at != std::string::npos) line.erase(0, at + place.size());
  }
  return errors;
}

TEST_CASE("config: files") {
  const LoadResult plain = load("root: /srv/a");
  REQUIRE(plain.ok());
  const proxy::Route& route = plain.snapshot->sites[0].routes[0];
  CHECK(route.action == proxy::Action::kFiles);
  CHECK(route.files->index == Lines{"index.html"});
  CHECK(route.files->precompressed.empty());
  CHECK_FALSE(route.files->listing);
  CHECK_FALSE(route.files->shows_well_known);
  CHECK_FALSE(route.files->root->follows_links());

  const LoadResult full = load(
      "root: /srv/a, index: [], precompressed: [zstd, br], listing: true, "
      "hidden: false, symlinks: true");
  REQUIRE(full.ok());
  const proxy::files::Files& files = *full.snapshot->sites[0].routes[0].files;
  CHECK(files.index.empty());
  CHECK(files.precompressed ==
        std::vector<http::Encoding>{http::Encoding::kZstd, http::Encoding::kBr});
  CHECK(files.listing);
  CHECK(files.shows_well_known);
  CHECK(files.root->follows_links());
}

TEST_CASE("config errors: files") {
  CHECK(errors_of("") == Lines{".files.root: is required; a folder, as in root: /srv/app/static"});
  CHECK(errors_of("root: /none") ==
        Lines{".files.root: \"/none\" cannot be served: No such file or directory; it must be a "
              "folder that weir may enter"});
  CHECK(errors_of("root: \"\"") == Lines{".files.root: is empty; a folder is due"});
  CHECK(errors_of("root: /srv/a, index: [a/b, .x, \"\"]") ==
        Lines{".files.index[0]: \"a/b\" is not the name of a file in a folder: no path, no dot in "
              "front",
              ".files.index[1]: \".x\" is not the name of a file in a folder: no path, no dot in "
              "front",
              ".files.index[2]: \"\" is not the name of a file in a folder: no path, no dot in "
              "front"});
  CHECK(errors_of("root: /srv/a, precompressed: [deflate, br, br]") ==
        Lines{".files.precompressed[0]: must be br, gzip or zstd, not \"deflate\"",
              ".files.precompressed[2]: is there twice"});
  CHECK(errors_of("root: /srv/a, hiden: true") ==
        Lines{".files.hiden: unknown key; did you mean \"hidden\"?"});
  CHECK(errors_of("root: /srv/a", "        rewrite: {strip_prefix: /a}\n") ==
        Lines{".rewrite: changes what an upstream gets; this route has none"});
  CHECK(errors_of("root: /srv/a", "        respond: {}\n") ==
        Lines{": has several actions; one of upstream, split, files, respond and redirect is due"});
}

}  // namespace
}  // namespace weir::config
