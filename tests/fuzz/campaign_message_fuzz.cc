// What the engine reads from a campaign's file never makes it read beyond; what decodes is encoded
// to something that decodes alike.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "engine/campaign_message.h"
#include "io/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sluice::engine::CampaignMessage;
  const auto message = CampaignMessage::decode(std::as_bytes(std::span(data, size)));
  if (!message) return 0;
  const std::string encoded = message->encode();
  CHECK(encoded.size() <= size);  // numbers may have been written longer than they need to be
  const auto again = CampaignMessage::decode(std::as_bytes(std::span(encoded)));
  CHECK(again && again->recipients_need == message->recipients_need &&
        again->next_hop == message->next_hop);
  CHECK(again->sender == message->sender && again->message_id_domain == message->message_id_domain);
  CHECK(again->notices == message->notices && again->priority == message->priority &&
        again->dsn.notify == message->dsn.notify && again->dsn.returned == message->dsn.returned &&
        again->dsn.envelope_id == message->dsn.envelope_id);
  CHECK(again->columns == message->columns && again->encode() == encoded);
  return 0;
}
