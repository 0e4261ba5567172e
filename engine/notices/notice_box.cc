#include "engine/notices/notice_box.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/campaign_message.h"
#include "engine/mail/charset.h"
#include "engine/mail/template.h"
#include "engine/recipient.h"
#include "io/check.h"
#include "spool/campaign_encoder.h"

namespace sluice::engine::notices {
namespace {

constexpr io::Duration retry_interval = std::chrono::seconds(1);

size_t bytes_of(const Notice& notice) { return notice.to.size() + notice.message.content.size(); }

std::string_view domain_of(std::string_view address) {
  return address.substr(address.rfind('@') + 1);
}

/// The recipient of the notice's campaign, as spooled.
std::string entry_of(const Notice& notice) {
  const std::string wire = mail::stuff_dots(notice.message.content);
  Recipient recipient;
  if (notice.message.needs_8bit) recipient.flags |= Recipient::needs_8bit;
  if (notice.message.needs_smtputf8 || !mail::is_ascii(notice.to))
    recipient.flags |= Recipient::needs_smtputf8;
  if (notice.is_tls_required) recipient.flags |= Recipient::needs_requiretls;
  recipient.address = notice.to;
  recipient.fields = {wire};
  std::string entry;
  recipient.encode(entry);
  return entry;
}

}  // namespace

NoticeBox::NoticeBox(io::EventLoop& loop, const std::string& spool, const std::string& hostname,
                     Listener& listener)
    : loop_(loop), hostname_(hostname), listener_(listener), handoff_(loop.proactor(), spool) {
  timer_.bind<&NoticeBox::flush>(this);
}

NoticeBox::~NoticeBox() = default;

uint64_t NoticeBox::post(Notice notice) {
  pending_bytes_ += bytes_of(notice);
  pending_.push_back(std::move(notice));
  return ++posted_;
}

/// How many of the pending go into one file.
size_t NoticeBox::next_file_notices() const {
  size_t count = 0, bytes = 0;
  while (count < pending_.size() && count < notices_per_file_max && bytes < file_bytes_max)
    bytes += bytes_of(pending_[count++]);
  return count;
}

void NoticeBox::flush() {
  if (handoff_.is_in_flight() || (is_stalled_ && timer_.is_armed())) return;
  if (!octets_.empty()) return hand_over();
  if (pending_.empty()) return;
  const size_t count = next_file_notices();
  const bool is_whole_file = count < pending_.size();
  if (!is_whole_file && loop_.now() < next_file_)
    return timer_.is_armed() ? void() : loop_.timers().arm(timer_, next_file_);
  next_file_ = loop_.now() + gather_time;
  file_notices_ = count;
  encode();
  hand_over();
}

/// A file holds its recipients by destination.
void NoticeBox::encode() {
  std::vector<Notice> notices;
  file_bytes_ = 0;
  for (size_t i = 0; i < file_notices_; ++i) {
    file_bytes_ += bytes_of(pending_.front());
    notices.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  std::ranges::stable_sort(notices, {}, [](const Notice& notice) { return domain_of(notice.to); });

  io::Proactor& proactor = loop_.proactor();
  id_ = fmt::format("notice-{:016x}", proactor.random());
  octets_.resize(spool::head_bytes);
  spool::CampaignEncoder encoder(spool::Salt::from(proactor.random()), [this](spool::Bytes bytes) {
    octets_.insert(octets_.end(), bytes.begin(), bytes.end());
  });
  uint8_t needs = 0;
  const std::string* last = nullptr;
  for (const Notice& notice : notices) {
    if (last == nullptr || domain_of(*last) != domain_of(notice.to))
      encoder.begin_group(domain_of(notice.to));
    last = &notice.to;
    const std::string entry = entry_of(notice);
    needs |= static_cast<uint8_t>(entry.front());
    CHECK(encoder.add(std::as_bytes(std::span(entry))));
  }
  const std::string content = mail::Template::ready_made().encode();
  // Notices that fail go to the postmaster: addressee_of().
  const CampaignMessage message{.recipients_need = needs,
                                .notices = Notices::sender,
                                .message_id_domain = hostname_,
                                .columns = {"email", "message"},
                                .content = std::as_bytes(std::span(content))};
  const std::string encoded = message.encode();
  spool::CampaignInfo info{.id = id_, .accepted_at = proactor.wall(), .is_repeatable = false};
  while (info.uid == 0) info.uid = proactor.random();
  const auto head = encoder.finish(info, std::as_bytes(std::span(encoded)));
  CHECK(head);
  std::ranges::copy(*head, octets_.begin());
}

void NoticeBox::hand_over() {
  handoff_.start(id_, octets_, [this](std::expected<void, spool::Error> result) {
    handed_over(std::move(result));
  });
}

void NoticeBox::handed_over(std::expected<void, spool::Error> result) {
  if (!result) {
    loop_.timers().arm(timer_, loop_.now() + retry_interval);
    if (!std::exchange(is_stalled_, true)) listener_.notices_stalled(result.error());
    return;
  }
  octets_ = {};
  durable_ += file_notices_;
  pending_bytes_ -= file_bytes_;
  if (std::exchange(is_stalled_, false)) listener_.notices_resumed();
  listener_.notices_durable(durable_);
  loop_.request_turn();
  flush();
}

}  // namespace sluice::engine::notices
