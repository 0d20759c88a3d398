#include "filters/cache/intake.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/strings.h"
#include "filters/cache/stored_head.h"
#include "http/conditional.h"
#include "http/vary.h"

namespace weir::filters::cache {

namespace {

// Names in one or several lines, between commas (Cache-Tag) or spaces (Surrogate-Key).
size_t read_tags(const Options& options, const http::HeaderList& headers,
                 std::span<std::string_view> out) {
  size_t count = 0;
  if (options.tags.empty()) return count;
  for (const http::Header& field : headers) {
    if (!iequals(field.name, options.tags)) continue;
    for (std::string_view rest = field.value; count < out.size();) {
      const size_t begin = rest.find_first_not_of(", \t");
      if (begin == std::string_view::npos) break;
      const size_t end = std::min(rest.find_first_of(", \t", begin), rest.size());
      out[count++] = rest.substr(begin, end - begin);
      rest.remove_prefix(end);
    }
  }
  return count;
}

class StoreRecorder final : public proxy::Recorder {
 public:
  StoreRecorder(Store& store, Writer writer, Lead lead, const Reader& before,
                std::unique_ptr<TierDraft> draft, const Meta& meta, std::string packed)
      : store_(store),
        writer_(std::move(writer)),
        lead_(std::move(lead)),
        before_(before),
        draft_(std::move(draft)),
        meta_(meta),
        packed_(std::move(packed)) {}
  ~StoreRecorder() override {
    writer_.abort();
    if (lead_) lead_.finish();
  }

  bool put(std::string_view piece) override {
    if (meta_.etag_made) tag_.put(piece);
    if (writer_.append(piece) == Room::kOk) return true;
    if (lead_) lead_.refuse(meta_.stored_at_ms);  // the next one would not be kept either
    return false;
  }

  void complete() override {
    const Reader reader = writer_.reader();
    const bool stored = writer_.finish();
    if (stored && before_) store_.remove(before_);
    if (stored && meta_.etag_made) {
      add_tag(reader);
    } else if (stored && draft_ != nullptr) {
      draft_->write(reader, reader.meta(), reader.head());
    }
    if (lead_) lead_.finish();
  }

  bool wants_rest() const override { return true; }

  bool close() override {
    const bool awaited = lead_ && lead_.close();
    return awaited || writer_.is_read();
  }

 private:
  void add_tag(const Reader& reader) {
    BlockPool blocks;
    Arena arena(blocks);
    http::HeaderList fields(arena);
    unpack_head(packed_, fields);
    const std::string tag = tag_.tag();
    fields.add("ETag", tag);
    meta_.length_bytes = reader.published();
    const std::string_view packed = pack_head(fields);
    store_.refresh(reader, meta_, packed);
    if (draft_ != nullptr) draft_->write(reader, meta_, packed);
  }

  Store& store_;
  Writer writer_;
  Lead lead_;
  const Reader before_;
  std::unique_ptr<TierDraft> draft_;
  Meta meta_;  // etag_made: it is to get a tag
  const std::string packed_;
  TagMaker tag_;
};

// What can be validated may be of use for as long as there is room for it.
uint64_t keep_until_ms(const http::Lifetime& life, const http::CacheFields& fields) {
  const http::Validators validators = http::validators_of(fields, life.received_ms / 1000);
  if (validators.tag || validators.last_modified_s) return 0;
  const int64_t of_use_ms =
      life.fresh_ms + std::max(life.stale_while_revalidate_ms, life.stale_if_error_ms);
  return static_cast<uint64_t>(
      std::max<int64_t>(1, life.received_ms - life.initial_age_ms + of_use_ms));
}

// The names of Vary in their normal form; "*" where nothing matches.
std::string vary_text(const http::HeaderList& fields) {
  const http::VaryNames names{http::CacheFields(fields)};
  if (names.matches_nothing()) return "*";
  char text[http::kVaryTextMax];
  return {text, names.write(text)};
}

// The server wants that nobody keeps it (any more), whoever asks for it.
bool says_no(const http::CachePolicy& policy, int status, const http::HeaderList& kept) {
  const http::CacheFields fields(kept);
  switch (http::may_store(policy, {}, {status, fields, http::answer_directives(fields)})) {
    case http::Storable::kNoStore:
    case http::Storable::kPrivate:
    case http::Storable::kVary: return true;
    default: return false;
  }
}

// Whether what a value says of its answer twice it says alike.
bool agrees(const TierValue& value, const http::HeaderList& fields) {
  const http::VaryNames names{http::CacheFields(fields)};
  char vary[http::kVaryTextMax];
  if (names.matches_nothing() || value.vary != std::string_view(vary, names.write(vary))) {
    return false;
  }
  const http::Header* const length = fields.find(http::HeaderId::kContentLength);
  uint64_t bytes = value.body.size();
  return length == nullptr || (parse_u64(length->value, bytes) && bytes == value.body.size());
}

// Names as read_tags() takes them apart.
size_t split_tags(std::string_view text, std::span<std::string_view> out) {
  size_t count = 0;
  while (!text.empty() && count < out.size()) {
    const size_t end = std::min(text.find(' '), text.size());
    out[count++] = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return count;
}

}  // namespace

std::string_view RequestVariant::by(std::string_view vary) {
  char text[http::kVaryKeyMax];
  size_t size = 0;
  if (!http::write_vary_key(vary, fields_, text, size)) return {};
  const std::string_view key = arena_.copy({text, size});
  all_ = all_.empty() ? key : arena_.concat({all_, key});
  return key;
}

http::Storable Intake::judge(const Question& question, const http::ResponseHead& head) {
  const http::CacheFields fields(head.headers);
  const http::Answered answer = {head.status, fields, http::answer_directives(fields)};
  const http::CachePolicy& policy = question.options.policy;
  const http::Storable storable = http::may_store(policy, question.asked, answer);
  if (storable != http::Storable::kYes) return storable;
  const http::Lifetime lifetime =
      http::lifetime_of(policy, question.asked, answer, fields, question.sent_ms, question.now_ms);
  const http::Validators validators = http::validators_of(fields, question.now_ms / 1000);
  return http::is_worth_keeping(lifetime, validators) ? storable : http::Storable::kSilent;
}

// What is kept beside the bytes, of the fields as they are kept.
void Intake::describe(const Question& question, const http::HeaderList& kept, int status,
                      const http::CacheFields& arrived) {
  const http::CacheFields fields(kept);
  const http::Answered answer = {status, fields, http::answer_directives(fields)};
  meta_.status = static_cast<uint16_t>(status);
  meta_.stored_at_ms = static_cast<uint64_t>(question.now_ms);
  meta_.lifetime = http::lifetime_of(question.options.policy, question.asked, answer, arrived,
                                     question.sent_ms, question.now_ms);
  meta_.keep_until_ms = keep_until_ms(meta_.lifetime, fields);
  packed_ = pack_head(kept);
}

bool Intake::start(const Question& question, const http::ResponseHead& head,
                   std::string_view made_tag) {
  const http::CacheFields arrived(head.headers);
  const http::CacheControl says = http::answer_directives(arrived);
  Arena& arena = head.headers.arena();
  http::HeaderList& kept = *arena.make<http::HeaderList>(arena);
  for (const http::Header& field : head.headers) {
    if (http::is_kept(question.options.policy, field, head.headers, says)) kept.add(field);
  }
  if (!made_tag.empty()) kept.add("ETag", made_tag);
  const bool known = head.framing == http::Framing::kLength || head.framing == http::Framing::kNone;
  meta_.length_bytes = known ? head.content_length : Meta::kUnknown;
  meta_.etag_made = !made_tag.empty();
  describe(question, kept, head.status, arrived);
  char vary[http::kVaryTextMax];
  const http::VaryNames names(arrived);
  vary_ = arena.copy({vary, names.write(vary)});
  const http::CacheFields asked(question.fields);
  RequestVariant variant(asked, arena);
  secondary_ = vary_.empty() ? std::string_view() : variant.by(vary_);
  std::array<std::string_view, Store::kTagsMax + 1> tags;  // one too many shows
  Answer answer;
  answer.meta = meta_;
  answer.head = packed_;
  answer.vary = vary_;
  answer.secondary = secondary_;
  answer.tags = {tags.data(), read_tags(question.options, head.headers, tags)};
  answer.expected_bytes = known ? head.content_length : 0;
  const bool tellable = vary_.empty() || !secondary_.empty();
  if (writer_ && tellable) {
    room_ = writer_.start(answer);
    if (room_ == Room::kOk) {
      if (draft_ != nullptr) draft_->describe(vary_, secondary_, answer.tags);
      return true;
    }
  }
  forget();
  return false;
}

std::unique_ptr<proxy::Recorder> Intake::recorder(Store& store, Lead lead, const Reader& before,
                                                  bool makes_tag) {
  Meta meta = meta_;
  meta.etag_made = makes_tag;
  return std::make_unique<StoreRecorder>(store, std::move(writer_), std::move(lead), before,
                                         std::move(draft_), meta,
                                         makes_tag ? std::string(packed_) : std::string());
}

bool Intake::adopt(const TierValue& value, Arena& arena) {
  Writer writer = std::move(writer_);
  http::HeaderList& fields = *arena.make<http::HeaderList>(arena);
  if (!writer || !read_tier_fields(value.fields, fields) || !agrees(value, fields)) return false;
  std::array<std::string_view, Store::kTagsMax + 1> tags;
  Answer answer;
  answer.meta.status = value.status;
  answer.meta.etag_made = value.etag_made;
  answer.meta.lifetime = value.lifetime;
  answer.meta.stored_at_ms = static_cast<uint64_t>(value.lifetime.received_ms);
  answer.meta.keep_until_ms = keep_until_ms(value.lifetime, http::CacheFields(fields));
  answer.meta.length_bytes = value.body.size();
  answer.head = pack_head(fields);
  answer.vary = value.vary;
  answer.secondary = value.secondary;
  answer.tags = {tags.data(), split_tags(value.tags, tags)};
  answer.expected_bytes = value.body.size();
  return writer.start(answer) == Room::kOk && writer.append(value.body) == Room::kOk &&
         writer.finish();
}

Freshened Intake::freshen(Store& store, const Question& question, const Reader& stored,
                          const http::ResponseHead& not_modified) {
  const Writer asked = std::move(writer_);
  Arena& arena = not_modified.headers.arena();
  http::HeaderList& fields = *arena.make<http::HeaderList>(arena);
  unpack_head(stored.head(), fields);
  const http::CacheFields arrived(not_modified.headers);
  const int64_t now_s = question.now_ms / 1000;
  meta_ = stored.meta();
  const http::Validators news = http::validators_of(arrived, now_s);
  if (!meta_.etag_made &&
      !http::may_freshen(http::validators_of(http::CacheFields(fields), now_s), news)) {
    return Freshened::kOther;
  }
  const std::string vary = vary_text(fields);
  http::freshen(question.options.policy, fields, not_modified.headers,
                http::answer_directives(arrived));
  describe(question, fields, meta_.status, arrived);
  if (vary_text(fields) != vary || says_no(question.options.policy, meta_.status, fields)) {
    draft_.reset();
    return Freshened::kVoid;
  }
  const bool refreshed = store.refresh(stored, meta_, packed_, asked);
  if (refreshed && draft_ != nullptr) rewrite(question, stored, fields);
  return Freshened::kKept;
}

// For as long as it is good anew.
void Intake::rewrite(const Question& question, const Reader& stored,
                     const http::HeaderList& fields) {
  Arena& arena = fields.arena();
  const std::string vary = vary_text(fields);
  const http::CacheFields asked(question.fields);
  const std::string_view secondary =
      vary.empty() ? std::string_view() : RequestVariant(asked, arena).by(vary);
  if (secondary.empty() && !vary.empty()) return;
  std::array<std::string_view, Store::kTagsMax + 1> tags;
  draft_->describe(vary, secondary, {tags.data(), read_tags(question.options, fields, tags)});
  draft_->write(stored, meta_, packed_);
}

}  // namespace weir::filters::cache
