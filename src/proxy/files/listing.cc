#include "proxy/files/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <iterator>
#include <memory>
#include <vector>

#include "base/escape.h"
#include "proxy/files/path.h"

namespace weir::proxy::files {

namespace {

// More of them: the page says so.
constexpr size_t kListedMax = 5000;

struct Entry {
  std::string name;
  bool is_folder;
  uint64_t size_bytes;
  int64_t modified_s;
};

// For text and attributes in double quotes; bytes that are not UTF-8 are told by their numbers.
std::string html(std::string_view text) {
  std::string plain(text.size() * kEscapedMax, '\0');
  plain.resize(static_cast<size_t>(escape_text(text, plain.data()) - plain.data()));
  std::string out;
  for (const char c : plain) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c; break;
    }
  }
  return out;
}

// One segment of a path (RFC 3986 2.3): what is not unreserved is encoded.
std::string href(std::string_view name) {
  std::string out = "./";  // a colon in it must not make it a scheme
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string time_text(int64_t time_s) {
  const auto time = static_cast<std::time_t>(time_s);
  std::tm parts = {};
  if (gmtime_r(&time, &parts) == nullptr) return {};
  char text[32];
  return {text, std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &parts)};
}

// False: there are more than are listed.
bool read_entries(DIR* folder, std::vector<Entry>& out) {
  while (const dirent* entry = readdir(folder)) {
    const std::string_view name = entry->d_name;
    if (name.front() == '.' || !is_servable(name)) continue;
    struct stat about = {};
    if (fstatat(dirfd(folder), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const bool is_folder = S_ISDIR(about.st_mode);
    if (!is_folder && !S_ISREG(about.st_mode)) continue;
    if (out.size() == kListedMax) return false;
    out.push_back(
        {std::string(name), is_folder, static_cast<uint64_t>(about.st_size), about.st_mtim.tv_sec});
  }
  return true;
}

}  // namespace

bool list(OpenFile folder, std::string_view path, std::string& out) {
  // It takes a descriptor of its own.
  const int copy = fcntl(folder.fd(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return false;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(copy), closedir);
  if (stream == nullptr) {
    const OpenFile closed(copy);
    return false;
  }
  std::vector<Entry> entries;
  const bool complete = read_entries(stream.get(), entries);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.is_folder != b.is_folder ? a.is_folder : a.name < b.name;
  });
  const std::string title = html(path);
  out = fmt::format(
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title>\n"
      "<h1>{0}</h1>\n<table>\n<tr><td><a href=\"../\">../</a></td></tr>\n",
      title);
  for (const Entry& entry : entries) {
    const char* const slash = entry.is_folder ? "/" : "";
    fmt::format_to(std::back_inserter(out),
                   "<tr><td><a href=\"{}{}\">{}{}</a></td><td>{}</td><td>{}</td></tr>\n",
                   href(entry.name), slash, html(entry.name), slash, time_text(entry.modified_s),
                   entry.is_folder ? std::string() : std::to_string(entry.size_bytes));
  }
  out += "</table>\n";
  if (!complete) out += fmt::format("<p>and more than these {}</p>\n", entries.size());
  return true;
}

}  // namespace weir::proxy::files
