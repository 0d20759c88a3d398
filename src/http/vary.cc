#include "http/vary.h"

#include <algorithm>
#include <cstring>

#include "base/strings.h"
#include "http/accept_encoding.h"
#include "http/chars.h"

namespace weir::http {
namespace {

bool comes_before(std::string_view a, std::string_view b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](char x, char y) { return to_lower(x) < to_lower(y); });
}

// How a value is written.
enum class Kind : uint8_t { kAbsent, kAsItCame, kFolded, kEncodings };

bool is_delimiter(char c) { return c == ',' || c == ';' || c == '='; }

// One line of a list: lower case but within quotes, no whitespace at delimiters, no empty members.
// Writes at most line.size() + 1 bytes to `at`, the last one a comma for the next line; returns
// where they end.
char* fold(std::string_view line, char* at) {
  bool member = false;  // one has begun
  bool quoted = false;
  bool spaced = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted) {
      *at++ = c;
      if (c == '\\' && i + 1 < line.size()) *at++ = line[++i];
      quoted = c != '"';
      continue;
    }
    if (c == ' ' || c == '\t') {
      spaced = true;
      continue;
    }
    if (c == ',' && !member) continue;
    if (spaced && member && !is_delimiter(at[-1]) && !is_delimiter(c)) *at++ = ' ';
    spaced = false;
    member = c != ',';
    quoted = c == '"';
    *at++ = to_lower(c);
  }
  if (member) *at++ = ',';
  return at;
}

// Writes into a bounded place and keeps quiet once that is full.
class KeyWriter {
 public:
  explicit KeyWriter(std::span<char> out) : out_(out) {}

  bool fits() const { return fits_; }
  size_t size() const { return size_; }

  void put(std::string_view text) {
    if (text.size() > out_.size() - size_) {
      fits_ = false;
      return;
    }
    text.copy(out_.data() + size_, text.size());
    size_ += text.size();
  }
  // As fold() does; what might not fit does not.
  void put_folded(std::string_view line) {
    if (line.size() >= out_.size() - size_) {
      fits_ = false;
      return;
    }
    size_ = static_cast<size_t>(fold(line, out_.data() + size_) - out_.data());
  }
  void drop_last() { --size_; }

  // Leaves room for the length of what follows, and fills it in.
  size_t open(Kind kind) {
    const char frame[1 + sizeof(uint32_t)] = {static_cast<char>(kind)};
    put({frame, sizeof frame});
    return size_ - sizeof(uint32_t);
  }
  void close(size_t mark) {
    if (!fits_) return;
    const auto length = static_cast<uint32_t>(size_ - mark - sizeof(uint32_t));
    std::memcpy(out_.data() + mark, &length, sizeof length);
  }

 private:
  std::span<char> out_;
  size_t size_ = 0;
  bool fits_ = true;
};

bool is_folded(std::string_view name) {
  return name == "accept" || name == "accept-language" || name == "accept-charset";
}

// REQUIRES the field to be there.
void put_lines(std::string_view name, const HeaderList& headers, KeyWriter& key) {
  const bool folded = is_folded(name);
  const size_t mark = key.open(folded ? Kind::kFolded : Kind::kAsItCame);
  const size_t begin = key.size();
  for (const Header& header : headers) {
    if (!iequals(header.name, name)) continue;
    if (folded) {
      key.put_folded(header.value);
    } else {
      if (key.size() != begin) key.put(", ");
      key.put(header.value);
    }
  }
  if (folded && key.fits() && key.size() > begin) key.drop_last();
  key.close(mark);
}

bool put_encodings(const CacheFields& request, KeyWriter& key) {
  char form[kNormalEncodingsMax];
  const NormalForm normal = normal_encodings(request, form);
  if (!normal.fits) return false;
  const size_t mark = key.open(Kind::kEncodings);
  key.put(std::string_view(form, normal.size));
  key.close(mark);
  return true;
}

}  // namespace

VaryNames::VaryNames(const CacheFields& answer) {
  answer.for_each(HeaderId::kVary, [this](std::string_view line) { add(line); });
}

void VaryNames::add(std::string_view line) {
  for_each_list_item(line, [this](std::string_view name) { add_name(name); });
}

void VaryNames::add_name(std::string_view name) {
  if (name == "*" || !all_bytes(name, kTokenByte)) matches_nothing_ = true;
  if (matches_nothing_) return;
  auto* const end = names_.begin() + count_;
  auto* const place = std::lower_bound(names_.begin(), end, name, comes_before);
  if (place != end && iequals(*place, name)) return;
  text_size_ += name.size() + (count_ == 0 ? 0 : 1);
  if (count_ == kVaryNamesMax || text_size_ > kVaryTextMax) {
    matches_nothing_ = true;
    return;
  }
  std::copy_backward(place, end, end + 1);
  *place = name;
  ++count_;
}

size_t VaryNames::write(char* out) const {
  char* at = out;
  for (const std::string_view name : names()) {
    if (at != out) *at++ = ',';
    at = std::transform(name.begin(), name.end(), at, to_lower);
  }
  return static_cast<size_t>(at - out);
}

bool write_vary_key(std::string_view names, const CacheFields& request, std::span<char> out,
                    size_t& size) {
  KeyWriter key(out);
  for_each_list_item(names, [&](std::string_view name) {
    key.put(name);  // a token, which ends before the byte of a Kind
    if (request.headers().find(name) == nullptr) {
      key.close(key.open(Kind::kAbsent));
    } else if (name != "accept-encoding" || !put_encodings(request, key)) {
      put_lines(name, request.headers(), key);
    }
  });
  size = key.size();
  return key.fits();
}

}  // namespace weir::http
