#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

namespace sluice::spool {

using Bytes = std::span<const std::byte>;

/// 64 random bits of a file's own that its checksums are seeded with (FORMAT.md section 3): octets
/// from elsewhere, a copy of another file or what a submitter wrote on purpose, never pass for a
/// record of this one.
struct Salt {
  uint32_t header = 0, payload = 0;

  static Salt from(uint64_t bits) {
    return {static_cast<uint32_t>(bits), static_cast<uint32_t>(bits >> 32)};
  }
  uint64_t bits() const { return uint64_t{payload} << 32 | header; }
  friend bool operator==(Salt, Salt) = default;
};

enum class FileKind : uint16_t { journal = 1, campaign = 2, summary = 3, mail = 4 };

inline constexpr uint16_t format_version = 1;
inline constexpr size_t file_header_bytes = 24;

/// The first octets of every file of the spool (FORMAT.md section 2).
struct FileHeader {
  FileKind kind;
  Salt salt;
};
enum class FileHeaderFault : uint8_t { damaged, newer_version };

void encode_file_header(std::span<std::byte> out, FileHeader header);
/// `in`: what the file begins with; fewer than file_header_bytes octets are damaged.
std::expected<FileHeader, FileHeaderFault> decode_file_header(Bytes in);

/// FORMAT.md section 3.1. A commit of the journal is one `full`, or `first`, any number of
/// `middle`, and `last`.
enum class RecordType : uint8_t {
  info = 1,
  contents = 2,
  block = 3,
  message = 4,
  groups = 5,
  index = 6,
  summary = 7,
  commit_middle = 8,
  commit_first = 9,
  commit_last = 10,
  commit_full = 11,
  mail = 12,
  mail_index = 13,
  content = 14,
  large_mail = 15,
};

inline constexpr size_t record_alignment = 8;
inline constexpr size_t record_header_bytes = 16;
inline constexpr size_t payload_bytes_max = (1u << 28) - 1;

struct RecordHeader {
  uint32_t length = 0;  // of the payload, without padding
  RecordType type{};
  uint32_t number = 0;  // what the type says
  uint32_t payload_crc = 0;
};

constexpr size_t padded(size_t bytes) {
  return (bytes + record_alignment - 1) / record_alignment * record_alignment;
}
/// What a record takes in the file: header, payload, padding.
constexpr size_t record_bytes(size_t payload_bytes) {
  return record_header_bytes + padded(payload_bytes);
}

/// Writes the header of a record with this payload to the first record_header_bytes octets of
/// `out`.
void encode_record_header(std::span<std::byte> out, Salt salt, RecordType type, uint32_t number,
                          Bytes payload);
/// nullopt when no header of this file stands at the front of `in`, which holds at least
/// record_header_bytes octets.
std::optional<RecordHeader> decode_record_header(Bytes in, Salt salt);
/// Is `payload` (header.length octets) what was written?
bool is_payload_sound(const RecordHeader& header, Bytes payload, Salt salt);

}  // namespace sluice::spool
