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
  StoreRecorder(Store& store, Writer writer, Lead lead, const Reader& before, const Meta& meta,
                std::string packed)
      : store_(store),
        writer_(std::move(writer)),
        lead_(std::move(lead)),
        before_(before),
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
    if (writer_.finish()) {
      if (before_) store_.remove(before_);
      if (meta_.etag_made) add_tag(reader);
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
    store_.refresh(reader, meta_, pack_head(fields));
  }

  Store& store_;
  Writer writer_;
  Lead lead_;
  const Reader before_;
  Meta meta_;  // etag_made: it is to get a tag
  const std::string packed_;
  TagMaker tag_;
};

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
  // What can be validated may be of use for as long as there is room for it.
  const http::Validators validators = http::validators_of(fields, question.now_ms / 1000);
  const http::Lifetime& life = meta_.lifetime;
  const int64_t of_use_ms =
      life.fresh_ms + std::max(life.stale_while_revalidate_ms, life.stale_if_error_ms);
  const bool can_be_validated = validators.tag || validators.last_modified_s;
  meta_.keep_until_ms = can_be_validated
                            ? 0
                            : static_cast<uint64_t>(std::max<int64_t>(
                                  1, life.received_ms - life.initial_age_ms + of_use_ms));
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
    if (room_ == Room::kOk) return true;
  }
  forget();
  return false;
}

std::unique_ptr<proxy::Recorder> Intake::recorder(Store& store, Lead lead, const Reader& before,
                                                  bool makes_tag) {
  Meta meta = meta_;
  meta.etag_made = makes_tag;
  return std::make_unique<StoreRecorder>(store, std::move(writer_), std::move(lead), before, meta,
                                         makes_tag ? std::string(packed_) : std::string());
}

bool Intake::freshen(Store& store, const Question& question, const Reader& stored,
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
    return false;
  }
  http::freshen(question.options.policy, fields, not_modified.headers,
                http::answer_directives(arrived));
  describe(question, fields, meta_.status, arrived);
  store.refresh(stored, meta_, packed_, asked);
  return true;
}

}  // namespace weir::filters::cache
