#include "engine/dns/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>

#include "engine/dns/message_reader.h"
#include "io/check.h"

namespace sluice::engine::dns {
namespace {

constexpr uint16_t type_cname = 5, type_soa = 6, class_in = 1;
constexpr uint8_t code_no_error = 0, code_no_name = 3;
constexpr size_t header_octets = 12;

/// RFC 2181 section 8: a TTL with its highest bit set counts as 0.
uint32_t sane_ttl(uint32_t ttl_s) { return ttl_s > INT32_MAX ? 0 : ttl_s; }

struct Record {
  std::string name;
  uint16_t type = 0, record_class = 0;
  uint32_t ttl_s = 0;
  size_t data = 0, data_octets = 0;  // place in the message
};

class AnswerReader {
 public:
  AnswerReader(std::span<const std::byte> message, RecordType type)
      : message_(message), type_(type) {}

  std::expected<Answer, std::string_view> read(std::string_view name);

 private:
  bool take_header(std::string_view name);
  bool take_records();
  std::optional<Record> take_record(MessageReader& reader);
  bool add(const Record& record);
  bool add_mx(MessageReader data);
  bool add_address(const Record& record);
  bool add_tlsa(MessageReader data, size_t end);
  bool add_text(MessageReader data, size_t end);
  void follow(std::string name);
  void sort_out();

  std::span<const std::byte> message_;
  const RecordType type_;
  uint8_t code_ = 0;
  bool is_authentic_ = false;
  uint16_t answers_ = 0, authorities_ = 0;
  size_t records_at_ = 0;
  std::vector<Record> records_;  // of the answer section: aliases and what was asked for
  std::optional<uint32_t> negative_ttl_s_;
  Answer answer_;
  std::string_view problem_;
};

std::expected<Answer, std::string_view> AnswerReader::read(std::string_view name) {
  if (!take_header(name)) return std::unexpected(problem_);
  answer_.code = code_;
  answer_.is_authentic = is_authentic_;
  // Refused or failed: whatever else is in the message does not count.
  if (code_ != code_no_error && code_ != code_no_name) return std::move(answer_);
  if (!take_records()) return std::unexpected("it ends within a record");
  answer_.ttl_s = UINT32_MAX;
  follow(std::string(name));
  if (!problem_.empty()) return std::unexpected(problem_);
  sort_out();
  return std::move(answer_);
}

/// And the question, which must be ours: c-ares has looked, but not every answer came by it.
bool AnswerReader::take_header(std::string_view name) {
  MessageReader reader(message_);
  problem_ = "it is shorter than a header";
  if (!reader.skip(2)) return false;
  const auto flags = reader.take_u16(), questions = reader.take_u16(), answers = reader.take_u16(),
             authorities = reader.take_u16(), additional = reader.take_u16();
  if (!additional) return false;
  problem_ = "it is a question";
  if ((*flags & 0x8000) == 0) return false;
  problem_ = "it is truncated";
  if ((*flags & 0x0200) != 0) return false;
  code_ = *flags & 0x0F;
  is_authentic_ = (*flags & 0x0020) != 0;
  answers_ = *answers;
  authorities_ = *authorities;
  problem_ = "it answers another question";
  if (*questions != 1) {
    // Servers that do not understand the question may leave it out.
    return *questions == 0 && code_ != code_no_error && code_ != code_no_name;
  }
  const auto asked = reader.take_name();
  const auto type = reader.take_u16(), record_class = reader.take_u16();
  if (!record_class || *asked != name || *type != static_cast<uint16_t>(type_) ||
      *record_class != class_in)
    return false;
  problem_ = {};
  records_at_ = reader.offset();
  return true;
}

std::optional<Record> AnswerReader::take_record(MessageReader& reader) {
  Record record;
  auto name = reader.take_name();
  const auto type = reader.take_u16(), record_class = reader.take_u16();
  const auto ttl_s = reader.take_u32();
  const auto octets = reader.take_u16();
  if (!octets) return std::nullopt;
  record = {std::move(*name), *type, *record_class, sane_ttl(*ttl_s), reader.offset(), *octets};
  if (!reader.skip(*octets)) return std::nullopt;
  return record;
}

bool AnswerReader::take_records() {
  MessageReader reader(message_);
  reader.go_to(records_at_);
  for (unsigned i = 0; i < answers_; ++i) {
    auto record = take_record(reader);
    if (!record) return false;
    if (record->record_class == class_in &&
        (record->type == type_cname || record->type == static_cast<uint16_t>(type_)))
      records_.push_back(std::move(*record));
  }
  for (unsigned i = 0; i < authorities_; ++i) {
    const auto record = take_record(reader);
    if (!record) return false;
    if (record->record_class != class_in || record->type != type_soa) continue;
    MessageReader data(message_.first(record->data + record->data_octets));
    data.go_to(record->data);
    // RFC 2308 section 5: the lesser of the SOA's own TTL and its MINIMUM, the last of five
    // numbers.
    if (!data.skip_name() || !data.skip_name() || !data.skip(16)) continue;
    if (const auto minimum = data.take_u32())
      negative_ttl_s_ = std::min(record->ttl_s, sane_ttl(*minimum));
  }
  return true;
}

/// From `name` over its aliases to the records.
void AnswerReader::follow(std::string name) {
  for (unsigned aliases = 0;; ++aliases) {
    const Record* alias = nullptr;
    bool found = false;
    for (const Record& record : records_) {
      if (record.name != name) continue;
      if (record.type == type_cname) {
        alias = &record;
      } else {
        if (!add(record)) return;
        found = true;
      }
    }
    if (found) answer_.kind = Answer::Kind::found;
    if (found || !alias) break;
    if (aliases == Answer::aliases_max) {
      answer_.kind = Answer::Kind::alias_loop;
      return;
    }
    MessageReader data(message_.first(alias->data + alias->data_octets));
    data.go_to(alias->data);
    auto target = data.take_name();
    if (!target || target->empty()) {
      problem_ = "it has an alias of no name";
      return;
    }
    answer_.ttl_s = std::min(answer_.ttl_s, alias->ttl_s);
    answer_.alias = name = std::move(*target);
    if (type_ != RecordType::cname) continue;
    answer_.kind = Answer::Kind::found;
    return;
  }
  if (answer_.kind == Answer::Kind::found) return;
  if (code_ == code_no_name) {
    answer_.kind = Answer::Kind::no_name;
  } else if (!answer_.alias.empty() && !negative_ttl_s_) {
    answer_.kind = Answer::Kind::alias;
    return;
  } else {
    answer_.kind = Answer::Kind::no_data;
  }
  answer_.ttl_s = std::min(answer_.ttl_s, negative_ttl_s_.value_or(0));
}

bool AnswerReader::add(const Record& record) {
  const size_t end = record.data + record.data_octets;
  MessageReader data(message_.first(end));
  data.go_to(record.data);
  const auto add_what_it_is = [&] {
    switch (type_) {
      case RecordType::a:
      case RecordType::aaaa:  return add_address(record);
      case RecordType::mx:    return add_mx(data);
      case RecordType::tlsa:  return add_tlsa(data, end);
      case RecordType::txt:   return add_text(data, end);
      case RecordType::cname: break;
    }
    return false;
  };
  if (!add_what_it_is()) {
    problem_ = "it has a record that is none";
    return false;
  }
  answer_.ttl_s = std::min(answer_.ttl_s, record.ttl_s);
  return true;
}

bool AnswerReader::add_mx(MessageReader data) {
  const auto preference = data.take_u16();
  auto host = data.take_name();
  if (!preference || !host) return false;
  answer_.mx.push_back({*preference, std::move(*host)});
  return true;
}

bool AnswerReader::add_address(const Record& record) {
  if (record.data_octets != (type_ == RecordType::a ? 4 : 16)) return false;
  if (answer_.addresses.size() < Answer::records_max)
    answer_.addresses.push_back(ip_address(message_.subspan(record.data, record.data_octets)));
  return true;
}

/// RFC 6698 section 2.1.
bool AnswerReader::add_tlsa(MessageReader data, size_t end) {
  const auto usage = data.take_u8(), selector = data.take_u8(), matching = data.take_u8();
  if (!matching) return false;
  const auto octets = message_.subspan(data.offset(), end - data.offset());
  answer_.tlsa.push_back(
      {*usage, *selector, *matching,
       std::string(reinterpret_cast<const char*>(octets.data()), octets.size())});
  return true;
}

/// RFC 1035 section 3.3.14: strings, each behind its length.
bool AnswerReader::add_text(MessageReader data, size_t end) {
  std::string text;
  do {
    const auto size = data.take_u8();
    if (!size || !data.skip(*size)) return false;
    const auto octets = message_.subspan(data.offset() - *size, *size);
    text.append(reinterpret_cast<const char*>(octets.data()), octets.size());
  } while (data.offset() < end);
  if (answer_.texts.size() < Answer::records_max) answer_.texts.push_back(std::move(text));
  return true;
}

void AnswerReader::sort_out() {
  const auto order = [](const MxRecord& mx) {
    return std::pair(mx.preference, std::string_view(mx.host));
  };
  std::ranges::sort(answer_.mx, {}, order);
  const auto twice = std::ranges::unique(answer_.mx);
  answer_.mx.erase(twice.begin(), twice.end());
  if (answer_.mx.size() > Answer::records_max) answer_.mx.resize(Answer::records_max);
  std::ranges::sort(answer_.tlsa);
  if (answer_.tlsa.size() > Answer::records_max) answer_.tlsa.resize(Answer::records_max);
}

}  // namespace

std::string_view name(RecordType type) {
  switch (type) {
    case RecordType::a:     return "A";
    case RecordType::cname: return "CNAME";
    case RecordType::mx:    return "MX";
    case RecordType::aaaa:  return "AAAA";
    case RecordType::txt:   return "TXT";
    case RecordType::tlsa:  return "TLSA";
  }
  return "?";
}

io::SocketAddress ip_address(std::span<const std::byte> octets) {
  if (octets.size() == sizeof(in_addr)) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, octets.data(), octets.size());
    return io::SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&v4));
  }
  CHECK(octets.size() == sizeof(in6_addr));
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  std::memcpy(&v6.sin6_addr, octets.data(), octets.size());
  return io::SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&v6));
}

std::string response_code_text(uint8_t code) {
  constexpr std::string_view names[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};
  return code < std::size(names) ? std::string(names[code]) : fmt::format("RCODE {}", code);
}

std::expected<Answer, std::string_view> read_answer(std::span<const std::byte> message,
                                                    std::string_view name, RecordType type) {
  if (message.size() < header_octets) return std::unexpected("it is shorter than a header");
  return AnswerReader(message, type).read(name);
}

}  // namespace sluice::engine::dns
