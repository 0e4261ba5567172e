#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "engine/mail/template.h"
#include "engine/mailing.h"
#include "engine/smtp/client.h"

namespace sluice::engine {

/// A recipient in a session's hands, with the memory its message is merged from. Reused from
/// message to message: in steady state nothing is allocated.
struct Held {
  const Mailing* mailing =
      nullptr;  // nullptr: free. Alive until the outcome is durable: the coordinator holds it
  Item item;
  std::string entry;  // as stored; `recipient` points into it
  Recipient recipient;
  mail::Merge merge;
  std::string sender;
  smtp::TransactionNumber transaction = 0;
  bool is_offered = false;

  bool is_free() const { return mailing == nullptr; }
  /// Copies the entry in; false when it does not fit its campaign.
  bool hold(const Mailing& m, Item i, spool::Bytes bytes) {
    entry.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    item = i;
    if (!recipient.decode(std::as_bytes(std::span(entry)), m.content.columns())) return false;
    mailing = &m;
    return true;
  }
  void release() { mailing = nullptr, is_offered = false; }
};

}  // namespace sluice::engine
