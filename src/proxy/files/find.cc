#include "proxy/files/find.h"

#include <array>
#include <cstring>

#include "http/mime.h"
#include "proxy/files/listing.h"
#include "proxy/files/path.h"

namespace weir::proxy::files {

namespace {

using Kind = Finding::Kind;

// A name with a NUL at its end, which grows by a suffix and shrinks again.
class Name {
 public:
  bool set(std::string_view text) {
    size_ = 0;
    return append(text);
  }
  bool append(std::string_view more) {
    if (more.size() >= sizeof(text_) - size_) return false;
    std::memcpy(text_ + size_, more.data(), more.size());
    size_ += more.size();
    text_[size_] = '\0';
    return true;
  }
  void cut(size_t size) {
    size_ = size;
    text_[size_] = '\0';
  }
  size_t size() const { return size_; }
  const char* c_str() const { return text_; }
  std::string_view view() const { return {text_, size_}; }

 private:
  size_t size_ = 0;
  char text_[kNameBytes];
};

Kind kind_of(Opened opened) {
  switch (opened) {
    case Opened::kFile: return Kind::kFile;
    case Opened::kFolder: return Kind::kSlash;
    case Opened::kMissing: return Kind::kMissing;
    case Opened::kForbidden: return Kind::kForbidden;
    case Opened::kFull: return Kind::kFull;
    case Opened::kUncached: return Kind::kUncached;
    case Opened::kFailed: break;
  }
  return Kind::kFailed;
}

// Of other content than the original by now. What has no fractions was copied by a tool that knows
// of none.
bool is_older(const OpenFile& sibling, const OpenFile& original) {
  constexpr int64_t kSecond = 1'000'000'000;
  if (sibling.modified_ns % kSecond != 0) return sibling.modified_ns < original.modified_ns;
  return sibling.modified_ns / kSecond < original.modified_ns / kSecond;
}

// The sibling that the client likes best, if there is one.
void use_sibling(const Files& files, const http::AcceptEncoding& accept, bool may_wait, Name& name,
                 Finding& found) {
  std::array<http::Encoding, http::kEncodings> offered;
  size_t count = 0;
  for (const http::Encoding encoding : files.precompressed) {
    if (accept.accepts(encoding)) offered[count++] = encoding;
  }
  const size_t size = name.size();
  while (count > 0) {
    const http::Encoding chosen = accept.choose({offered.data(), count});
    if (chosen == http::Encoding::kIdentity) return;
    OpenFile sibling;
    Opened opened = Opened::kMissing;
    if (name.append(sibling_suffix(chosen))) {
      opened = files.root->open_below(name.c_str(), may_wait, sibling);
      name.cut(size);
    }
    if (opened == Opened::kUncached) {
      found.kind = Kind::kUncached;
      return;
    }
    if (opened == Opened::kFile && !is_older(sibling, found.file)) {
      found.file = std::move(sibling);
      found.encoding = chosen;
      return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; ++i) {
      if (offered[i] != chosen) offered[kept++] = offered[i];
    }
    count = kept;
  }
}

void open(const Files& files, const Question& question, bool may_wait, Name& name, Finding& found) {
  found.kind = kind_of(files.root->open_below(name.c_str(), may_wait, found.file));
  if (found.kind != Kind::kFile) return;
  found.type = http::content_type_of(name.view());
  if (!files.precompressed.empty()) use_sibling(files, question.accept, may_wait, name, found);
}

}  // namespace

std::string_view sibling_suffix(http::Encoding encoding) {
  switch (encoding) {
    case http::Encoding::kGzip: return ".gz";
    case http::Encoding::kBr: return ".br";
    case http::Encoding::kZstd: return ".zst";
    case http::Encoding::kIdentity: break;
  }
  return {};
}

Finding find(const Files& files, const Question& question, bool may_wait) {
  Finding found;
  Name name;
  if (!name.set(question.name)) return found;
  if (question.name.empty() && !question.path.ends_with('/')) {  // of a route like "/static"
    found.kind = Kind::kSlash;
    return found;
  }
  const bool is_folder = question.name.empty() || question.name.back() == '/';
  if (!is_folder) {
    open(files, question, may_wait, name, found);
    return found;
  }
  for (const std::string& index : files.index) {
    name.cut(question.name.size());
    if (!name.append(index)) continue;
    open(files, question, may_wait, name, found);
    if (found.kind != Kind::kMissing && found.kind != Kind::kSlash) return found;
  }
  found = {};
  if (!files.listing) return found;
  if (!may_wait) {
    found.kind = Kind::kUncached;
    return found;
  }
  name.cut(question.name.size());
  const Opened opened = files.root->open_below(name.c_str(), true, found.file);
  if (opened != Opened::kFolder) {
    found.kind = opened == Opened::kFile ? Kind::kMissing : kind_of(opened);
  } else if (list(std::move(found.file), question.path, found.page)) {
    found.kind = Kind::kListing;
  } else {
    found.kind = Kind::kFailed;
  }
  return found;
}

}  // namespace weir::proxy::files
