// Structured fields (RFC 8941): dictionaries, as far as weir reads any. Parsing is all or nothing,
// as the RFC has it: whoever keeps what next() gave must drop it when the end is a failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::http {

enum class ItemType : uint8_t {
  kBoolean,
  kInteger,
  kDecimal,
  kString,
  kToken,
  kBytes,
  kInnerList,
};

// A member of a dictionary, without its parameters. Views of the line.
struct DictionaryMember {
  std::string_view key;
  ItemType type = ItemType::kBoolean;
  bool boolean = true;
  std::string_view
      text;  // a number or a token as written; a string between its quotes, escapes too
};

// Reads one line of the field. A member cannot go over the end of a line, so lines may be read one
// after the other, empty ones skipped. Of a key that comes twice the last value counts.
class DictionaryReader {
 public:
  explicit DictionaryReader(std::string_view line);

  // False at the end, and from the first failure on.
  bool next(DictionaryMember& out);
  bool failed() const { return failed_; }

 private:
  bool fail() {
    failed_ = true;
    return false;
  }
  bool at(char c) const { return !rest_.empty() && rest_.front() == c; }
  void take(size_t count) { rest_.remove_prefix(count); }
  void skip(std::string_view bytes);

  bool read_key(std::string_view& out);
  bool read_value(DictionaryMember& out);
  bool read_item(DictionaryMember& out);
  bool read_number(DictionaryMember& out);
  bool read_string(DictionaryMember& out);
  bool read_bytes();
  bool read_inner_list();
  bool read_parameters();

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace weir::http
