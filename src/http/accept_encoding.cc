#include "http/accept_encoding.h"

#include <algorithm>
#include <cstring>

#include "base/strings.h"
#include "http/chars.h"

namespace weir::http {
namespace {

constexpr uint16_t kFull = 1000;
constexpr std::string_view kNames[kEncodings] = {"identity", "gzip", "br", "zstd"};

// A qvalue in thousandths: a digit, and at most three behind a point; none above 1.
bool read_weight(std::string_view text, uint16_t& out) {
  if (text.empty() || text.size() > 5 || text[0] < '0' || text[0] > '1') return false;
  if (text.size() > 1 && text[1] != '.') return false;
  uint32_t weight = text[0] == '1' ? kFull : 0;
  uint32_t place = 100;
  for (size_t i = 2; i < text.size(); ++i, place /= 10) {
    if (text[i] < '0' || text[i] > '9') return false;
    weight += static_cast<uint32_t>(text[i] - '0') * place;
  }
  if (weight > kFull) return false;
  out = static_cast<uint16_t>(weight);
  return true;
}

// The weight among the parameters of a member; full without one.
bool read_parameters(std::string_view text, uint16_t& weight) {
  weight = kFull;
  while (!text.empty()) {
    const size_t end = text.find(';');
    const std::string_view parameter = trim_ows(text.substr(0, end));
    if (parameter.size() > 2 && to_lower(parameter[0]) == 'q' && parameter[1] == '=') {
      return read_weight(parameter.substr(2), weight);
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return true;
}

// Calls visit(name, weight) for each member of a line that the grammar knows.
template <typename Visit>
void for_each_coding(std::string_view line, Visit visit) {
  for_each_list_item(line, [&visit](std::string_view item) {
    const size_t semicolon = item.find(';');
    const std::string_view name = trim_ows(item.substr(0, semicolon));
    uint16_t weight = kFull;
    if (name.empty() || !all_bytes(name, kTokenByte)) return;
    if (semicolon != std::string_view::npos &&
        !read_parameters(item.substr(semicolon + 1), weight)) {
      return;
    }
    visit(name, weight);
  });
}

// What servers may choose among: weir's own and the registered ones that it only passes on. In the
// order of the normal form.
enum class Coding : uint8_t { kBr, kCompress, kDeflate, kGzip, kIdentity, kZstd, kOther };
constexpr std::string_view kLetters = "bcdgiz";
constexpr size_t kCodings = kLetters.size();

Coding coding_of(std::string_view name) {
  const auto is = [name](std::string_view wanted, Coding coding) {
    return iequals(name, wanted) ? coding : Coding::kOther;
  };
  switch (name.size()) {
    case 2: return is("br", Coding::kBr);
    case 4: return to_lower(name[0]) == 'g' ? is("gzip", Coding::kGzip) : is("zstd", Coding::kZstd);
    case 6: return is("x-gzip", Coding::kGzip);
    case 7: return is("deflate", Coding::kDeflate);
    case 8:
      return to_lower(name[0]) == 'i' ? is("identity", Coding::kIdentity)
                                      : is("compress", Coding::kCompress);
    case 10: return is("x-compress", Coding::kCompress);
    default: return Coding::kOther;
  }
}

// The normal form as it is written.
class Form {
 public:
  explicit Form(char* out) : begin_(out), at_(out) {}

  void add(std::string_view name, uint16_t weight) {
    if (name == "*") {
      any_ = any_said_ ? std::min(any_, weight) : weight;
      any_said_ = true;
      return;
    }
    const auto i = static_cast<size_t>(coding_of(name));
    if (i == static_cast<size_t>(Coding::kOther)) {
      add_unknown(name, weight);
      return;
    }
    weights_[i] = said_[i] ? std::min(weights_[i], weight) : weight;
    said_[i] = true;
  }

  NormalForm finish() {
    if (!fits_) return {0, false};
    *at_++ = '=';
    for (size_t i = 0; i < kCodings; ++i) {
      const bool identity = i == static_cast<size_t>(Coding::kIdentity);
      const bool accepted = said_[i] ? weights_[i] > 0 : any_said_ ? any_ > 0 : identity;
      if (accepted) *at_++ = kLetters[i];
    }
    if (any_ > 0) *at_++ = '*';
    return {static_cast<size_t>(at_ - begin_), true};
  }

 private:
  // Unknown codings stand first, as they came: ",name", or ";name" for one that is ruled out.
  void add_unknown(std::string_view name, uint16_t weight) {
    constexpr size_t kRest = kCodings + 2;
    const auto written = static_cast<size_t>(at_ - begin_);
    if (written + 1 + name.size() + kRest > kNormalEncodingsMax) {
      fits_ = false;
      return;
    }
    *at_++ = weight > 0 ? ',' : ';';
    for (const char c : name) *at_++ = to_lower(c);
  }

  char* const begin_;
  char* at_;
  bool fits_ = true;
  bool said_[kCodings] = {};
  uint16_t weights_[kCodings] = {};
  bool any_said_ = false;
  uint16_t any_ = 0;
};

}  // namespace

std::string_view encoding_name(Encoding encoding) { return kNames[static_cast<size_t>(encoding)]; }

bool read_encoding(std::string_view name, Encoding& out) {
  switch (coding_of(name)) {
    case Coding::kIdentity: out = Encoding::kIdentity; return true;
    case Coding::kGzip: out = Encoding::kGzip; return true;
    case Coding::kBr: out = Encoding::kBr; return true;
    case Coding::kZstd: out = Encoding::kZstd; return true;
    default: return false;
  }
}

AcceptEncoding::AcceptEncoding(const CacheFields& request) {
  request.for_each(HeaderId::kAcceptEncoding, [this](std::string_view line) { add(line); });
}

void AcceptEncoding::add(std::string_view line) {
  for_each_coding(line, [this](std::string_view name, uint16_t weight) {
    Encoding encoding = Encoding::kIdentity;
    if (name == "*") {
      any_ = std::min(any_, weight);
    } else if (read_encoding(name, encoding)) {
      uint16_t& said = said_[static_cast<size_t>(encoding)];
      said = std::min(said, weight);
    }
  });
}

uint32_t AcceptEncoding::weight(Encoding encoding) const {
  constexpr uint32_t kLeast = 1;
  const uint16_t said = said_[static_cast<size_t>(encoding)];
  if (said != kUnsaid) return said;
  if (any_ != kUnsaid) return any_;
  return encoding == Encoding::kIdentity ? kLeast : 0;
}

Encoding AcceptEncoding::choose(std::span<const Encoding> offered) const {
  Encoding best = Encoding::kIdentity;
  uint32_t best_weight = 0;
  for (const Encoding encoding : offered) {
    const uint32_t its = weight(encoding);
    if (its <= best_weight) continue;
    best = encoding;
    best_weight = its;
  }
  return weight(Encoding::kIdentity) > best_weight ? Encoding::kIdentity : best;
}

NormalForm normal_encodings(const CacheFields& request, char* out) {
  if (!request.has(HeaderId::kAcceptEncoding)) return {};
  Form form(out);
  request.for_each(HeaderId::kAcceptEncoding, [&form](std::string_view line) {
    for_each_coding(line,
                    [&form](std::string_view name, uint16_t weight) { form.add(name, weight); });
  });
  return form.finish();
}

}  // namespace weir::http
