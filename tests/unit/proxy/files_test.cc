// Names below a folder, what is opened of them, which sibling is taken, and how content is told
// apart.
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "proxy/files/find.h"
#include "proxy/files/listing.h"
#include "proxy/files/path.h"
#include "proxy/files/tag.h"
#include "proxy/snapshot.h"
#include "support/temporary_folder.h"

namespace weir::proxy::files {
namespace {

using Kind = Finding::Kind;

constexpr int64_t kOldS = 1'600'000'000;
constexpr int64_t kNs = 1'000'000'000;

void set_time(const std::string& path, int64_t seconds, int64_t ns = 0) {
  const timespec times[2] = {{seconds, ns}, {seconds, ns}};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

class Folder {
 public:
  explicit Folder(bool follows_links = false) {
    root_ = Root::open(made_.path(), follows_links).value();
  }
  void put(const std::string& name, const std::string& content, int64_t seconds = kOldS,
           int64_t ns = 0) {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name)) << content;
    set_time(path(name), seconds, ns);
  }
  std::string path(const std::string& name) const { return made_.file(name); }
  const std::shared_ptr<const Root>& root() const { return root_; }
  Opened open(const std::string& name) const {
    OpenFile file;
    return root_->open_below(name.c_str(), true, file);
  }

 private:
  TemporaryFolder made_;
  std::shared_ptr<const Root> root_;
};

class Names {
 public:
  std::string below(PathMatch match, const std::string& prefix, const std::string& path,
                    bool well_known = false) {
    Route route;
    route.match = match;
    route.path = prefix;
    const auto name = name_below(route, path, well_known, arena_);
    return name ? std::string(*name) : "none";
  }
  std::string below(const std::string& path, bool well_known = false) {
    return below(PathMatch::kPrefix, "/", path, well_known);
  }
  Arena& arena() { return arena_; }

 private:
  BlockPool pool_;
  Arena arena_{pool_};
};

TEST_CASE("files: what a route takes a path for") {
  Names names;
  CHECK(names.below(PathMatch::kPrefix, "/s/", "/s/a/b") == "a/b");
  CHECK(names.below(PathMatch::kPrefix, "/s/", "/s/") == "");
  CHECK(names.below(PathMatch::kPrefix, "/s/", "/s/a/") == "a/");
  CHECK(names.below(PathMatch::kSegment, "/s", "/s") == "");
  CHECK(names.below(PathMatch::kSegment, "/s", "/s/a") == "a");
  CHECK(names.below(PathMatch::kSegment, "/s", "/s//a") == "none");
  CHECK(names.below(PathMatch::kExact, "/s/robots.txt", "/s/robots.txt") == "robots.txt");
  CHECK(names.below(PathMatch::kExact, "/", "/") == "");
  CHECK(names.below(PathMatch::kRegex, "", "/s/a.css") == "s/a.css");
}

TEST_CASE("files: names that are none") {
  Names names;
  CHECK(names.below("/a%20b%C3%BC%25") == "a b\xC3\xBC%");
  CHECK(names.below("/a:b;c=d,e") == "a:b;c=d,e");
  for (const char* path :
       {"//a",     "/a//b", "/a%2Fb", "/%2fetc", "/a%5Cb",    "/a\\b",         "/a%00",
        "/a%0a",   "/%7f",  "/a%2",   "/a%",     "/a%zz",     "/.a",           "/a/.b",
        "/a/../b", "/..",   "/.",     "/..%2fa", "/%2e%2e/a", "/.well-known/x"}) {
    CAPTURE(path);
    CHECK(names.below(path) == "none");
  }
  CHECK(names.below("/" + std::string(kNameBytes, 'a')) == "none");
  CHECK(names.below("/.well-known/x", true) == ".well-known/x");
  CHECK(names.below("/.well-known/.x", true) == "none");
  CHECK(names.below("/a/.well-known/x", true) == "none");
  CHECK(names.below("/.well-knownx", true) == "none");
}

TEST_CASE("files: a root is a folder") {
  const TemporaryFolder made;
  std::ofstream(made.file("file")) << "x";
  CHECK(Root::open(made.path(), false).ok());
  CHECK_FALSE(Root::open(made.file("file"), false).ok());
  CHECK_FALSE(Root::open(made.file("none"), false).ok());
  CHECK_FALSE(Root::open("", false).ok());
}

TEST_CASE("files: nothing leads out of the root") {
  Folder folder;
  Folder outside;
  outside.put("secret", "x");
  folder.put("a/b.txt", "x");
  const std::string up = "../" + outside.path("secret").substr(5);  // both are in /tmp
  CHECK(folder.open("a/b.txt") == Opened::kFile);
  CHECK(folder.open("a") == Opened::kFolder);
  CHECK(folder.open("") == Opened::kFolder);
  CHECK(folder.open("none") == Opened::kMissing);
  CHECK(folder.open("a/b.txt/c") == Opened::kMissing);
  CHECK(folder.open(up) == Opened::kMissing);
  CHECK(folder.open("a/../" + up) == Opened::kMissing);
  CHECK(folder.open(outside.path("secret")) == Opened::kMissing);
  CHECK(folder.open(std::string(300, 'x')) == Opened::kMissing);
  REQUIRE(mkfifo(folder.path("fifo").c_str(), 0600) == 0);
  CHECK(folder.open("fifo") == Opened::kMissing);
}

TEST_CASE("files: links") {
  for (const bool follows : {false, true}) {
    CAPTURE(follows);
    Folder folder(follows);
    Folder outside;
    outside.put("secret", "x");
    folder.put("a/b.txt", "x");
    std::filesystem::create_symlink("a/b.txt", folder.path("in"));
    std::filesystem::create_symlink("a", folder.path("folder"));
    std::filesystem::create_symlink(outside.path("secret"), folder.path("out"));
    std::filesystem::create_symlink("..", folder.path("up"));
    std::filesystem::create_symlink("self", folder.path("self"));
    const Opened inside = follows ? Opened::kFile : Opened::kMissing;
    CHECK(folder.open("in") == inside);
    CHECK(folder.open("folder/b.txt") == inside);
    CHECK(folder.open("out") == Opened::kMissing);
    CHECK(folder.open("up") == Opened::kMissing);
    CHECK(folder.open("self") == Opened::kMissing);
    CHECK(folder.open("/proc/self/exe") == Opened::kMissing);
  }
}

// ---- which file ----

http::AcceptEncoding accepting(const char* line) {
  http::AcceptEncoding accept;
  if (*line != '\0') accept.add(line);
  return accept;
}

class Finder {
 public:
  Finder() { files.root = folder.root(); }
  Finding operator()(std::string_view name, const char* accept = "") const {
    return find(files, {name, "/", accepting(accept)}, true);
  }
  Folder folder;
  Files files;
};

TEST_CASE("files: folders and their indexes") {
  Finder find;
  find.folder.put("page.htm", "abc");
  find.folder.put("sub/x", "x");
  find.files.index = {"index.html", "page.htm"};
  CHECK(find("").kind == Kind::kFile);
  CHECK(find("").file.size_bytes == 3);
  CHECK(find("").type == "text/html; charset=utf-8");
  CHECK(find("sub").kind == Kind::kSlash);
  CHECK(find("sub/").kind == Kind::kMissing);
  CHECK(find("none/").kind == Kind::kMissing);
  CHECK(find("page.htm/").kind == Kind::kMissing);
  find.files.listing = true;
  CHECK(find("sub/").kind == Kind::kListing);
  CHECK(find("none/").kind == Kind::kMissing);
  CHECK(find("page.htm/").kind == Kind::kMissing);
  CHECK(weir::proxy::files::find(find.files, {"sub/", "/", {}}, false).kind == Kind::kUncached);
  std::filesystem::create_directory(find.folder.path("sub/index.html"));
  CHECK(find("sub/").kind == Kind::kListing);
}

TEST_CASE("files: siblings") {
  Finder find;
  find.folder.put("a.css", "a", kOldS, 500);
  find.folder.put("a.css.gz", "gz", kOldS, 500);
  find.folder.put("a.css.br", "br", kOldS, 499);
  find.folder.put("a.css.zst", "zst", kOldS, 0);  // copied by a tool without fractions
  const auto found = [&](const char* accept) { return find("a.css", accept).encoding; };
  CHECK(found("gzip, br, zstd") == http::Encoding::kIdentity);
  find.files.precompressed = {http::Encoding::kBr, http::Encoding::kZstd, http::Encoding::kGzip};
  CHECK(found("gzip, br, zstd") == http::Encoding::kZstd);
  CHECK(found("gzip, br, zstd;q=0.1") == http::Encoding::kGzip);
  CHECK(found("br") == http::Encoding::kIdentity);  // older
  CHECK(found("gzip;q=0.5, identity") == http::Encoding::kIdentity);
  CHECK(found("") == http::Encoding::kIdentity);
  CHECK(find("a.css", "gzip").file.size_bytes == 2);
  CHECK(find("a.css", "gzip").type.starts_with("text/css"));
  find.folder.put("b.css.gz", "gz");
  CHECK(find("b.css", "gzip").kind == Kind::kMissing);  // of nothing
  find.folder.put("c.css", "a");
  std::filesystem::create_directory(find.folder.path("c.css.gz"));
  CHECK(find("c.css", "gzip").encoding == http::Encoding::kIdentity);
}

// ---- tags ----

TEST_CASE("files: entity tags") {
  Names names;
  OpenFile file;
  file.size_bytes = 255;
  file.modified_ns = kOldS * kNs;
  file.changed_ns = (kOldS + 500) * kNs;
  const auto tag = [&](int64_t now_us, http::Encoding encoding = http::Encoding::kIdentity) {
    return std::string(entity_tag(file, encoding, now_us, names.arena()));
  };
  constexpr int64_t kLater = (kOldS + 1000) * 1'000'000;
  const std::string settled = tag(kLater);
  CHECK(settled.ends_with("-ff\""));
  CHECK(settled.starts_with("\""));
  CHECK(tag(kLater, http::Encoding::kBr).ends_with("-ff-br\""));
  CHECK(tag(kOldS * 1'000'000 + 500'000) == "W/" + settled);
  CHECK(tag(kOldS * 1'000'000 - 500'000) == "W/" + settled);
  CHECK(last_modified_s(file, kLater) == kOldS);
  CHECK(last_modified_s(file, kOldS * 1'000'000 - 1) == 0);
  file.modified_ns += 1;
  CHECK(tag(kLater) != settled);
  // No time at all: the inode's own stands in.
  file.modified_ns = 1 * kNs;
  const std::string without_time = tag(kLater);
  CHECK(last_modified_s(file, kLater) == 0);
  file.changed_ns += 1;
  CHECK(tag(kLater) != without_time);
}

// ---- listings ----

TEST_CASE("files: a listing shows what is served, escaped") {
  Folder folder;
  folder.put("b.txt", "12345");
  folder.put("a&<i>.txt", "x");
  folder.put("\xff.txt", "x");
  folder.put("back\\slash", "x");
  folder.put(".hidden", "x");
  folder.put("zoo/x", "x");
  std::filesystem::create_symlink("b.txt", folder.path("link"));
  OpenFile open;
  REQUIRE(folder.root()->open_below("", true, open) == Opened::kFolder);
  std::string page;
  REQUIRE(list(std::move(open), "/<s>/", page));
  CHECK(page.find("&lt;s&gt;") != std::string::npos);
  CHECK(page.find("<s>") == std::string::npos);
  CHECK(page.find("<i>") == std::string::npos);
  CHECK(page.find("href=\"./a%26%3Ci%3E.txt\">a&amp;&lt;i&gt;.txt<") != std::string::npos);
  CHECK(page.find("href=\"./%FF.txt\">") != std::string::npos);
  CHECK(page.find("href=\"./zoo/\">zoo/<") < page.find("./a%26"));  // folders first
  CHECK(page.find("2020-09-13 12:26</td><td>5<") != std::string::npos);
  for (const char* absent : {"hidden", "link", "back"}) {
    CHECK(page.find(absent) == std::string::npos);
  }
}

}  // namespace
}  // namespace weir::proxy::files
