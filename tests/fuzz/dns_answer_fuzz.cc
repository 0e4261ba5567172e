// What a name server may send: the first octet chooses the type asked for, the rest is its message.
// The same message with its question put right is read as well, so that random octets get past it.

#include <cstring>
#include <string>

#include "engine/dns/answer.h"
#include "io/check.h"

namespace {

using namespace sluice::engine::dns;

constexpr RecordType types[] = {RecordType::a,     RecordType::mx,   RecordType::aaaa,
                                RecordType::cname, RecordType::tlsa, RecordType::txt};

void read(const std::string& message, RecordType type) {
  const auto answer = read_answer(std::as_bytes(std::span(message)), "example.test", type);
  if (!answer) {
    CHECK(!answer.error().empty());
    return;
  }
  const size_t records = type == RecordType::mx      ? answer->mx.size()
                         : type == RecordType::tlsa  ? answer->tlsa.size()
                         : type == RecordType::txt   ? answer->texts.size()
                         : type == RecordType::cname ? answer->alias.empty() ? 0 : 1
                                                     : answer->addresses.size();
  const bool is_cname = type == RecordType::cname;
  CHECK((answer->kind == Answer::Kind::found) == (records > 0));
  CHECK(records <= Answer::records_max);
  CHECK(answer->mx.size() + answer->addresses.size() + answer->tlsa.size() + answer->texts.size() +
            is_cname ==
        (is_cname ? 1 : records));
  for (const auto& tlsa : answer->tlsa) (void)tlsa.is_usable();
  CHECK((answer->kind != Answer::Kind::alias) || !answer->alias.empty());
  for (size_t i = 1; i < answer->mx.size(); ++i)
    CHECK(answer->mx[i - 1].preference <= answer->mx[i].preference);
  for (const auto& address : answer->addresses)
    CHECK(address.family() == (type == RecordType::a ? AF_INET : AF_INET6));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const RecordType type = types[data[0] % std::size(types)];
  std::string message(reinterpret_cast<const char*>(data) + 1, size - 1);
  read(message, type);
  constexpr size_t header_octets = 12;
  if (message.size() < header_octets) return 0;
  std::string question("\7example\4test\0\0\0\0\1", 18);
  question[15] = static_cast<char>(type);
  message[2] |= static_cast<char>(0x80);
  message[2] &= static_cast<char>(~0x02);
  message[4] = 0, message[5] = 1;
  message.insert(header_octets, question);
  read(message, type);
  return 0;
}
