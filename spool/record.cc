#include "spool/record.h"

#include <algorithm>
#include <array>

#include "io/check.h"
#include "io/crc32c.h"
#include "spool/little_endian.h"

namespace sluice::spool {
namespace {

// A high octet that is no text and a line feed that text modes change: damage by transfer shows at
// once.
constexpr std::array<unsigned char, 8> magic = {0x8f, 'S', 'l', 'u', 'i', 'c', 'e', '\n'};

constexpr uint32_t length_mask = payload_bytes_max;
constexpr unsigned type_shift = 28;
constexpr auto type_first = static_cast<uint32_t>(RecordType::info),
               type_last = static_cast<uint32_t>(RecordType::large_mail);

}  // namespace

void encode_file_header(std::span<std::byte> out, FileHeader header) {
  std::ranges::copy(std::as_bytes(std::span(magic)), out.begin());
  store<uint16_t>(out, 8, format_version);
  store(out, 10, static_cast<uint16_t>(header.kind));
  store(out, 12, header.salt.bits());
  store(out, 20, io::crc32c(0, out.first(20)));
}

std::expected<FileHeader, FileHeaderFault> decode_file_header(Bytes in) {
  if (in.size() < file_header_bytes ||
      !std::ranges::equal(in.first(magic.size()), std::as_bytes(std::span(magic))) ||
      load<uint32_t>(in, 20) != io::crc32c(0, in.first(20)))
    return std::unexpected(FileHeaderFault::damaged);
  if (load<uint16_t>(in, 8) > format_version)
    return std::unexpected(FileHeaderFault::newer_version);
  return FileHeader{static_cast<FileKind>(load<uint16_t>(in, 10)),
                    Salt::from(load<uint64_t>(in, 12))};
}

void encode_record_header(std::span<std::byte> out, Salt salt, RecordType type, uint32_t number,
                          Bytes payload) {
  CHECK(payload.size() <= payload_bytes_max);
  store(out, 4, io::crc32c(salt.payload, payload));
  store(out, 8, static_cast<uint32_t>(payload.size()) | static_cast<uint32_t>(type) << type_shift);
  store(out, 12, number);
  store(out, 0, io::crc32c(salt.header, out.subspan(4, 12)));
}

std::optional<RecordHeader> decode_record_header(Bytes in, Salt salt) {
  CHECK(in.size() >= record_header_bytes);
  const auto word = load<uint32_t>(in, 8);
  const uint32_t type = word >> type_shift;
  if (type < type_first || type > type_last) return std::nullopt;
  if (load<uint32_t>(in, 0) != io::crc32c(salt.header, in.subspan(4, 12))) return std::nullopt;
  return RecordHeader{word & length_mask, static_cast<RecordType>(type), load<uint32_t>(in, 12),
                      load<uint32_t>(in, 4)};
}

bool is_payload_sound(const RecordHeader& header, Bytes payload, Salt salt) {
  CHECK(payload.size() == header.length);
  return io::crc32c(salt.payload, payload) == header.payload_crc;
}

}  // namespace sluice::spool
