#include "engine/dns/record_cache.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>

#include "io/check.h"

namespace sluice::engine::dns {
namespace {

constexpr size_t buckets_at_first = 64;

uint32_t hash_of(std::string_view name, RecordType type) {
  return static_cast<uint32_t>(std::hash<std::string_view>()(name) * 31 +
                               static_cast<size_t>(type));
}

void put_u16(std::string& out, size_t value) {
  out += static_cast<char>(value >> 8 & 0xFF);
  out += static_cast<char>(value & 0xFF);
}

void put_text(std::string& out, std::string_view text) {
  put_u16(out, text.size());
  out += text;
}

std::string packed(const RecordSet& set, RecordType type) {
  std::string out;
  if (set.status == RecordSet::Status::failed) return set.reason;
  put_text(out, set.canonical);
  for (const tls::TlsaRecord& tlsa : set.tlsa) {
    for (const uint8_t octet : {tlsa.usage, tlsa.selector, tlsa.matching})
      out += static_cast<char>(octet);
    put_text(out, tlsa.data);
  }
  for (const std::string& text : set.texts) put_text(out, text);
  if (type == RecordType::mx) {
    for (const MxRecord& mx : set.mx) {
      put_u16(out, mx.preference);
      put_text(out, mx.host);
    }
  } else {
    for (const io::SocketAddress& address : set.addresses) {
      if (type == RecordType::a)
        out.append(reinterpret_cast<const char*>(
                       &reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr),
                   sizeof(in_addr));
      else
        out.append(reinterpret_cast<const char*>(
                       &reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr),
                   sizeof(in6_addr));
    }
  }
  return out;
}

uint16_t take_u16(std::string_view& octets) {
  const auto octet = [&](size_t i) { return static_cast<unsigned char>(octets[i]); };
  const auto value = static_cast<uint16_t>(octet(0) << 8 | octet(1));
  octets.remove_prefix(2);
  return value;
}

std::string take_text(std::string_view& octets) {
  const uint16_t size = take_u16(octets);
  std::string text(octets.substr(0, size));
  octets.remove_prefix(size);
  return text;
}

void unpack(std::string_view octets, RecordType type, RecordSet& set) {
  if (set.status == RecordSet::Status::failed) {
    set.reason = octets;
    return;
  }
  set.canonical = take_text(octets);
  const size_t address_octets = type == RecordType::a ? sizeof(in_addr) : sizeof(in6_addr);
  while (!octets.empty()) {
    if (type == RecordType::mx) {
      const uint16_t preference = take_u16(octets);
      set.mx.push_back({preference, take_text(octets)});
    } else if (type == RecordType::txt) {
      set.texts.push_back(take_text(octets));
    } else if (type == RecordType::tlsa) {
      const auto octet = [&](size_t i) { return static_cast<uint8_t>(octets[i]); };
      tls::TlsaRecord tlsa{octet(0), octet(1), octet(2), {}};
      octets.remove_prefix(3);
      tlsa.data = take_text(octets);
      set.tlsa.push_back(std::move(tlsa));
    } else {
      const auto raw = std::as_bytes(std::span(octets.substr(0, address_octets)));
      set.addresses.push_back(ip_address(raw));
      octets.remove_prefix(address_octets);
    }
  }
}

}  // namespace

struct RecordCache::Entry {
  Entry* next = nullptr;  // in its bucket
  Entry *newer = nullptr, *older = nullptr;
  io::Instant good_until{};
  uint32_t hash = 0;
  RecordType type{};
  RecordSet::Status status{};
  bool is_secure = false;
  uint8_t name_octets = 0;         // a name has at most 253, escapes not counted
  std::unique_ptr<char[]> octets;  // the name, then the packed set
  uint32_t size = 0;

  std::string_view name() const { return {octets.get(), name_octets}; }
  std::string_view set() const { return {octets.get() + name_octets, size - name_octets}; }
};

RecordCache::RecordCache(uint32_t entries_max)
    : entries_max_(std::max(entries_max, 1u)), buckets_(buckets_at_first) {}

RecordCache::~RecordCache() {
  while (oldest_) {
    Entry* entry = oldest_;
    oldest_ = entry->newer;
    delete entry;
  }
}

/// What points to the entry, or to nullptr where it would be.
RecordCache::Entry** RecordCache::place(std::string_view name, RecordType type, uint32_t hash) {
  Entry** at = &buckets_[hash & (buckets_.size() - 1)];
  while (*at && ((*at)->hash != hash || (*at)->type != type || (*at)->name() != name))
    at = &(*at)->next;
  return at;
}

std::optional<RecordSet> RecordCache::find(std::string_view name, RecordType type,
                                           io::Instant now) {
  Entry** at = place(name, type, hash_of(name, type));
  if (!*at) return std::nullopt;
  Entry& entry = **at;
  if (entry.good_until <= now) return remove(at), std::nullopt;
  unlink(entry);
  link_as_newest(entry);
  RecordSet set{
      .status = entry.status, .is_secure = entry.is_secure, .good_until = entry.good_until};
  unpack(entry.set(), type, set);
  return set;
}

void RecordCache::put(std::string_view name, RecordType type, const RecordSet& set) {
  const uint32_t hash = hash_of(name, type);
  if (Entry** at = place(name, type, hash); *at) remove(at);
  if (name.size() > UINT8_MAX) return;  // only escapes make it so long: not worth more room
  if (entries_ == entries_max_) remove(place(oldest_->name(), oldest_->type, oldest_->hash));
  if (entries_ == buckets_.size()) grow();
  const std::string data = packed(set, type);
  auto* entry = new Entry;
  entry->good_until = set.good_until;
  entry->hash = hash;
  entry->type = type;
  entry->status = set.status;
  entry->is_secure = set.is_secure;
  entry->name_octets = static_cast<uint8_t>(name.size());
  entry->size = static_cast<uint32_t>(name.size() + data.size());
  entry->octets = std::make_unique_for_overwrite<char[]>(entry->size);
  std::memcpy(entry->octets.get(), name.data(), name.size());
  std::memcpy(entry->octets.get() + name.size(), data.data(), data.size());
  *place(name, type, hash) = entry;
  link_as_newest(*entry);
  ++entries_;
  octets_ += sizeof(Entry) + entry->size;
}

void RecordCache::remove(Entry** place) {
  Entry* entry = *place;
  CHECK(entry);
  *place = entry->next;
  unlink(*entry);
  --entries_;
  octets_ -= sizeof(Entry) + entry->size;
  delete entry;
}

void RecordCache::unlink(Entry& entry) {
  (entry.newer ? entry.newer->older : newest_) = entry.older;
  (entry.older ? entry.older->newer : oldest_) = entry.newer;
}

void RecordCache::link_as_newest(Entry& entry) {
  entry.newer = nullptr;
  entry.older = newest_;
  (newest_ ? newest_->newer : oldest_) = &entry;
  newest_ = &entry;
}

void RecordCache::grow() {
  buckets_.assign(buckets_.size() * 2, nullptr);
  for (Entry* entry = oldest_; entry; entry = entry->newer) {
    Entry*& bucket = buckets_[entry->hash & (buckets_.size() - 1)];
    entry->next = bucket;
    bucket = entry;
  }
}

}  // namespace sluice::engine::dns
