#include "http/structured.h"

#include <algorithm>

#include "http/chars.h"

namespace weir::http {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_alpha(char c) { return is_lower(static_cast<char>(c | 0x20)); }
bool is_key_byte(char c) {
  return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}
bool is_base64_byte(char c) {
  return is_alpha(c) || is_digit(c) || c == '+' || c == '/' || c == '=';
}

// How many bytes at the front are such.
template <typename Is>
size_t run(std::string_view text, Is is) {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is) - text.begin());
}

}  // namespace

DictionaryReader::DictionaryReader(std::string_view line) : rest_(line) {
  skip(" ");
  while (!rest_.empty() && rest_.back() == ' ') rest_.remove_suffix(1);
}

void DictionaryReader::skip(std::string_view bytes) {
  while (!rest_.empty() && bytes.find(rest_.front()) != std::string_view::npos) take(1);
}

bool DictionaryReader::next(DictionaryMember& out) {
  out = {};
  if (failed_ || rest_.empty()) return false;
  if (!read_key(out.key)) return fail();
  if (at('=')) {
    take(1);
    if (!read_value(out)) return fail();
  }
  if (!read_parameters()) return fail();
  skip(" \t");
  if (rest_.empty()) return true;
  if (!at(',')) return fail();
  take(1);
  skip(" \t");
  return rest_.empty() ? fail() : true;
}

bool DictionaryReader::read_key(std::string_view& out) {
  if (rest_.empty() || !(is_lower(rest_.front()) || rest_.front() == '*')) return false;
  const size_t size = run(rest_, is_key_byte);
  out = rest_.substr(0, size);
  take(size);
  return true;
}

bool DictionaryReader::read_value(DictionaryMember& out) {
  if (!at('(')) return read_item(out);
  out.type = ItemType::kInnerList;
  return read_inner_list();
}

bool DictionaryReader::read_item(DictionaryMember& out) {
  if (rest_.empty()) return false;
  const char first = rest_.front();
  if (first == '-' || is_digit(first)) return read_number(out);
  if (first == '"') return read_string(out);
  if (first == ':') {
    out.type = ItemType::kBytes;
    return read_bytes();
  }
  if (first == '?') {
    if (rest_.size() < 2 || (rest_[1] != '0' && rest_[1] != '1')) return false;
    out.type = ItemType::kBoolean;
    out.boolean = rest_[1] == '1';
    take(2);
    return true;
  }
  if (first != '*' && !is_alpha(first)) return false;
  out.type = ItemType::kToken;
  const size_t size =
      run(rest_, [](char c) { return is_byte(c, kTokenByte) || c == ':' || c == '/'; });
  out.text = rest_.substr(0, size);
  take(size);
  return true;
}

bool DictionaryReader::read_number(DictionaryMember& out) {
  constexpr size_t kIntegerDigits = 15;
  constexpr size_t kDecimalDigits = 12;
  constexpr size_t kFractionDigits = 3;
  const std::string_view begin = rest_;
  if (at('-')) take(1);
  const size_t digits = run(rest_, is_digit);
  if (digits == 0 || digits > kIntegerDigits) return false;
  out.type = ItemType::kInteger;
  take(digits);
  if (at('.')) {
    take(1);
    out.type = ItemType::kDecimal;
    const size_t fraction = run(rest_, is_digit);
    if (digits > kDecimalDigits || fraction == 0 || fraction > kFractionDigits) return false;
    take(fraction);
  }
  out.text = begin.substr(0, begin.size() - rest_.size());
  return true;
}

bool DictionaryReader::read_string(DictionaryMember& out) {
  for (size_t i = 1; i < rest_.size(); ++i) {
    const char c = rest_[i];
    if (c == '"') {
      out.type = ItemType::kString;
      out.text = rest_.substr(1, i - 1);
      take(i + 1);
      return true;
    }
    if (c < 0x20 || c > 0x7e) return false;
    if (c != '\\') continue;
    ++i;
    if (i == rest_.size() || (rest_[i] != '"' && rest_[i] != '\\')) return false;
  }
  return false;
}

bool DictionaryReader::read_bytes() {
  const size_t end = rest_.find(':', 1);
  if (end == std::string_view::npos) return false;
  const std::string_view encoded = rest_.substr(1, end - 1);
  if (run(encoded, is_base64_byte) != encoded.size()) return false;
  take(end + 1);
  return true;
}

bool DictionaryReader::read_inner_list() {
  take(1);
  while (true) {
    skip(" ");
    if (at(')')) {
      take(1);
      return true;
    }
    DictionaryMember item;
    if (!read_item(item) || !read_parameters()) return false;
    if (!at(' ') && !at(')')) return false;
  }
}

bool DictionaryReader::read_parameters() {
  while (at(';')) {
    take(1);
    skip(" ");
    std::string_view key;
    if (!read_key(key)) return false;
    if (!at('=')) continue;
    take(1);
    DictionaryMember ignored;
    if (!read_item(ignored)) return false;
  }
  return true;
}

}  // namespace weir::http
